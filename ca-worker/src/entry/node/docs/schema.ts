import type { Schema } from "../../../openapi/types.ts";
import { type Html, html, inline } from "./html.ts";

const optional = html`<span class="muted">optional</span>`;

/** The members of an object. */
export function schemaTable({ properties = {}, required = [], additionalProperties }: Schema): Html {
  return html`<div class="scroll"><table>
    <thead><tr><th scope="col">Member</th><th scope="col">Type</th><th scope="col">What it is</th></tr></thead>
    <tbody>${Object.entries(properties).map(
      ([name, member]) => html`<tr>
        <th scope="row"><code>${name}</code> ${required.includes(name) ? undefined : optional}</th>
        <td>${typeOf(member)}</td>
        <td>${member.description === undefined ? undefined : inline(member.description)} ${bounds(member)}</td>
      </tr>`,
    )}</tbody>
  </table></div>
  ${additionalProperties === false ? html`<p class="muted">No other members.</p>` : undefined}`;
}

/** What a value is, in a few words; a schema with a name of its own is a link to it. */
export function typeOf(schema: Schema): Html {
  const name = schema.$ref?.split("/").at(-1);
  if (name !== undefined) return html`<a href="#schema-${name}">${name}</a>`;
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (Array.isArray(schema.oneOf)) return joined(schema.oneOf, " or ");
  if (schema.type === "array" && schema.items !== undefined) {
    const { type } = schema.items;
    return html`list of ${type === undefined || type === "object" ? typeOf(schema.items) : `${type}s`}`;
  }
  if (schema.type === "object" && schema.properties !== undefined) {
    return html`<details><summary>object</summary>${schemaTable(schema)}</details>`;
  }
  return html`${schema.type ?? "any value"}`;
}

/** @param schemas of which a value is one, or all */
export function joined(schemas: readonly Schema[], between: string): Html {
  return html`${schemas.map((schema, at) => html`${at === 0 ? "" : between}${typeOf(schema)}`)}`;
}

const words: Readonly<Record<string, (value: unknown) => string>> = {
  minimum: (value) => `at least ${value}`,
  maximum: (value) => (value === Number.MAX_SAFE_INTEGER ? "" : `at most ${value}`),
  minItems: (value) => `at least ${value} of them`,
  maxItems: (value) => `at most ${value} of them`,
  maxLength: (value) => `at most ${value} characters`,
  pattern: (value) => `matches \`${value}\``,
};

function bounds(schema: Schema): Html | undefined {
  const said = Object.entries(words).flatMap(([keyword, say]) =>
    schema[keyword] === undefined ? [] : say(schema[keyword]) || [],
  );
  if (said.length === 0) return undefined;
  const sentence = `${said.join(", ")}.`;
  return html`<span class="muted">${inline(sentence.charAt(0).toUpperCase() + sentence.slice(1))}</span>`;
}
