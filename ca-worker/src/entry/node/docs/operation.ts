import type { Content, Document, Header, Operation, Ref, ResponseObject, Schema } from "../../../openapi/types.ts";
import { type Html, html, inline, prose } from "./html.ts";
import { joined, typeOf } from "./schema.ts";

/** All of an operation. */
export function operationCard(path: string, method: string, operation: Operation, document: Document): Html {
  const { operationId, summary, description, security, parameters = [], requestBody, responses } = operation;
  return html`<article class="card" id="${operationId}" aria-labelledby="${operationId}-name">
    <h3 id="${operationId}-name"><a href="#${operationId}">${summary}</a></h3>
    <p class="route"><span class="method ${method}">${method}</span> <code>${path}</code></p>
    ${prose(description)}
    <p class="muted">${needs(security)}</p>
    ${
      parameters.length === 0
        ? undefined
        : html`<h4>Parameters</h4><dl>${parameters.map(
            (one) => html`<dt><code>${one.name}</code> <span class="muted">${one.in}, optional</span></dt>
        <dd>${inline(one.description)}</dd>`,
          )}</dl>`
    }
    ${requestBody === undefined ? undefined : html`<h4>Request</h4>${bodies(requestBody.content)}`}
    <details><summary>As a command</summary>${command(path, method, operation, document)}</details>
    <h4>Answers</h4>
    ${Object.entries(responses).map(([status, response]) => answer(status, response, document))}
  </article>`;
}

function needs(security: Operation["security"]): Html {
  const [first, ...others] = security.map((one) => Object.keys(one));
  if (first === undefined || first.length === 0) return html`Needs no token.`;
  const link = (name: string) => html`<a href="#token-${name}">${name}</a>`;
  const listed = (names: readonly string[]) =>
    names.length === 0 ? "no token" : names.map((name, at) => html`${at === 0 ? "" : " and "}${link(name)}`);
  return html`Needs ${listed(first)}${others.map((names) => html`; where node binding is off, ${listed(names)}`)}.`;
}

function answer(status: string, { description, headers = {}, content }: ResponseObject, document: Document): Html {
  const kind = status.startsWith("2") ? "good" : status === "304" ? "quiet" : "bad";
  const listed = Object.entries(headers).map(([name, header]) => ({ name, ...resolve(header, document) }));
  return html`<details class="answer">
    <summary><span class="status ${kind}">${status}</span> <span>${inline(description)}</span></summary>
    ${
      listed.length === 0
        ? undefined
        : html`<dl>${listed.map(
            (header) => html`<dt><code>${header.name}</code></dt><dd>${inline(header.description)}</dd>`,
          )}</dl>`
    }
    ${content === undefined ? undefined : bodies(content)}
  </details>`;
}

function resolve(header: Header | Ref, { components }: Document): Header {
  return "$ref" in header ? (components.headers[header.$ref.split("/").at(-1) ?? ""] as Header) : header;
}

function bodies(content: Content): Html {
  return html`${Object.entries(content).map(
    ([type, { schema, example }]) => html`<p><code>${type}</code>: ${named(schema)}</p>
    ${example === undefined ? undefined : html`<pre tabindex="0">${asText(example)}</pre>`}`,
  )}`;
}

// Of a problem's two parts the second only narrows the first.
function named(schema: Schema): Html {
  return Array.isArray(schema.allOf) ? joined(schema.allOf.slice(0, 1), "") : typeOf(schema);
}

const asText = (example: unknown) => (typeof example === "string" ? example : JSON.stringify(example, null, 2));

/** The request with curl, for somebody who tries it. */
function command(path: string, method: string, { security, requestBody }: Operation, document: Document): Html {
  const headers = Object.keys(security[0] ?? {}).map((name) => {
    const scheme = document.components.securitySchemes[name];
    const file = name === "agentToken" ? "agent.token" : "workload.token";
    return scheme?.type === "http" ? `authorization: Bearer $(cat ${file})` : `${scheme?.name}: $(cat ${file})`;
  });
  const lines = [
    `curl --silent --show-error --fail-with-body "$CA${path}"`,
    ...headers.map((header) => `--header "${header}"`),
    ...(requestBody === undefined ? [] : [`--json @request.json`]),
  ];
  return html`<pre tabindex="0">${method === "get" || requestBody !== undefined ? lines.join(" \\\n  ") : ""}</pre>`;
}

/** How callers prove who they are. */
export function securityList(schemes: Document["components"]["securitySchemes"]): Html {
  return html`${Object.entries(schemes).map(
    ([name, scheme]) => html`<article class="card" id="token-${name}" aria-labelledby="token-${name}-name">
    <h3 id="token-${name}-name">${name}</h3>
    <p class="route"><code>${scheme.type === "http" ? "authorization: Bearer …" : `${scheme.name}: …`}</code></p>
    ${prose(String(scheme.description ?? ""))}
  </article>`,
  )}`;
}
