import type { Document, Operation, Schema } from "../../../openapi/types.ts";
import { problemKinds } from "../../../respond/problem.ts";
import { type Html, html, idOf, prose } from "./html.ts";
import { operationCard, securityList } from "./operation.ts";
import { schemaTable } from "./schema.ts";
import { style } from "./style.ts";

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E" +
  "%3Ccircle cx='16' cy='16' r='14' fill='%2317705f'/%3E" +
  "%3Cpath d='M10 16.5l4.2 4.2L22.5 12' fill='none' stroke='white' stroke-width='3' " +
  "stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";

const seal = html`<svg viewBox="0 0 32 32" aria-hidden="true">
  <circle cx="16" cy="16" r="14"/><path d="M10 16.5l4.2 4.2L22.5 12"/>
</svg>`;

interface Placed {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

/** The OpenAPI document as one page of HTML, without a script. */
export function docsPage(document: Document): string {
  const { info, tags, components } = document;
  const placed: readonly Placed[] = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as Operation })),
  );
  const groups = tags.map((tag) => ({
    ...tag,
    operations: placed.filter(({ operation }) => operation.tags.includes(tag.name)),
  }));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${info.title} API</title>
<link rel="icon" href="${icon}">
<style>${html.raw(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="frame">
<nav aria-label="Contents">
  <p class="brand">${seal} ${info.title}</p>
  ${groups.map(navigation)}
  <h2>More</h2>
  <ul>
    <li><a href="#tokens">Tokens</a></li>
    <li><a href="#problems">Problems</a></li>
    <li><a href="#schemas">Schemas</a></li>
    <li><a href="openapi.json">openapi.json</a></li>
  </ul>
</nav>
<main id="content">
  <header>
    <h1>${info.title} API <span class="version">${info.version}</span></h1>
    <p class="lead">${String(info.summary ?? "")}</p>
    ${prose(String(info.description ?? ""))}
  </header>
  ${groups.map(
    ({ name, description, operations }) => html`<section aria-labelledby="${idOf(name)}">
    <h2 id="${idOf(name)}">${name}</h2>
    ${prose(description)}
    ${operations.map(({ path, method, operation }) => operationCard(path, method, operation, document))}
  </section>`,
  )}
  <section aria-labelledby="tokens">
    <h2 id="tokens">Tokens</h2>
    ${securityList(components.securitySchemes)}
  </section>
  <section aria-labelledby="problems">
    <h2 id="problems">Problems</h2>
    ${prose("Their `type` is `urn:signet:problem:` and one of these codes.")}
    ${problemTable()}
  </section>
  <section aria-labelledby="schemas">
    <h2 id="schemas">Schemas</h2>
    ${Object.entries(components.schemas).map(([name, schema]) => schemaSection(name, schema))}
  </section>
</main>
</div>
</body>
</html>
`;
  return page.text;
}

function navigation({ name, operations }: { name: string; operations: readonly Placed[] }): Html {
  return html`<h2>${name}</h2>
  <ul>${operations.map(
    ({ path, method, operation }) =>
      html`<li><a href="#${operation.operationId}"><span class="method ${method}">${method}</span> ${path}</a></li>`,
  )}</ul>`;
}

function problemTable(): Html {
  return html`<div class="scroll"><table>
    <thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">What it means</th></tr></thead>
    <tbody>${Object.entries(problemKinds).map(
      ([code, { status, title }]) =>
        html`<tr><th scope="row"><code>${code}</code></th><td>${status}</td><td>${title}.</td></tr>`,
    )}</tbody>
  </table></div>`;
}

function schemaSection(name: string, schema: Schema): Html {
  return html`<article class="card" id="schema-${name}" aria-labelledby="schema-${name}-name">
    <h3 id="schema-${name}-name">${name}</h3>
    ${schemaTable(schema)}
  </article>`;
}
