import type { Document, Header, Method, Operation, Ref, ResponseObject, Schema } from "@signet/ca/openapi/types";
import { problemContentType } from "@signet/shared/ca-api";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** What was asked, as a client gave it. */
export interface Asked {
  readonly method: string;
  /** From the slash on, with its query. */
  readonly path: string;
  readonly headers: Headers;
  /** Undefined where it cannot be looked at, as with a stream. */
  readonly body: string | undefined;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const id = "https://ca.test/openapi.json";
// What servers add by themselves.
const transport = [
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "keep-alive",
  "transfer-encoding",
];
// Node's own, in no document of the API.
const elsewhere = ["/metrics", "/docs"];

/** Holds what a CA is asked and answers against its OpenAPI document. */
export class OpenApiCheck {
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Document) {
    this.#document = closed(document) as Document;
    this.#ajv.addSchema({ $id: id, ...this.#document });
  }

  /** All in which an exchange is not as the document says. */
  faults(asked: Asked, answered: Answered): string[] {
    const url = new URL(asked.path, "http://ca.test");
    if (elsewhere.includes(url.pathname)) return [];
    const item = this.#document.paths[url.pathname];
    if (item === undefined) return this.#problem(answered, 404);
    const methods = methodsOf(Object.keys(item));
    if (!methods.includes(asked.method)) return [...this.#problem(answered, 405), ...allowFaults(answered, methods)];
    if (asked.method === "OPTIONS") {
      return answered.status === 204 ? allowFaults(answered, methods) : [`OPTIONS: status ${answered.status}`];
    }
    const method = (asked.method === "HEAD" ? "get" : asked.method.toLowerCase()) as Method;
    const operation = item[method] as Operation;
    const at = `#/paths/${pointerPart(url.pathname)}/${method}`;
    const response = operation.responses[answered.status];
    if (response === undefined) return [`status ${answered.status} is not in the document`];
    return [
      ...this.#headerFaults(response, answered.headers, at),
      ...this.#contentFaults(response, answered, `${at}/responses/${answered.status}`, asked.method === "HEAD"),
      ...(answered.status < 300 ? this.#requestFaults(operation, asked, answered, at, url) : []),
    ];
  }

  #problem({ status, headers, body }: Answered, wanted: number): string[] {
    if (status !== wanted) return [`status ${status} where ${wanted} is right`];
    if (headers.get("content-type") !== problemContentType) return ["the answer is no problem"];
    return body === "" ? [] : this.schemaFaults("#/components/schemas/Problem", JSON.parse(body));
  }

  #headerFaults({ headers = {} }: ResponseObject, actual: Headers, at: string): string[] {
    const undocumented = [...actual.keys()].filter((name) => !(name in headers) && !transport.includes(name));
    return [
      ...undocumented.map((name) => `header ${name} is not in the document`),
      ...Object.entries(headers).flatMap(([name, said]) => {
        const pointer = "$ref" in said ? (said as Ref).$ref : `${at}/headers/${pointerPart(name)}`;
        const header = this.#resolve(pointer) as Header;
        const value = actual.get(name);
        if (value === null) return header.required ? [`header ${name} is missing`] : [];
        return this.schemaFaults(`${pointer}/schema`, value).map((fault) => `header ${name}: ${fault}`);
      }),
    ];
  }

  #contentFaults({ content }: ResponseObject, { headers, body }: Answered, at: string, head: boolean): string[] {
    const type = headers.get("content-type");
    if (content === undefined) return body === "" ? [] : ["a body where the document has none"];
    if (type === null || !(type in content)) return [`content type ${type} is not in the document`];
    if (head) return body === "" ? [] : ["HEAD has a body"];
    const value: unknown = type.endsWith("json") ? JSON.parse(body) : body;
    return this.schemaFaults(`${at}/content/${pointerPart(type)}/schema`, value);
  }

  /** A request that was done must be one that the document allows. */
  #requestFaults(
    { security, requestBody, parameters = [] }: Operation,
    asked: Asked,
    answered: Answered,
    at: string,
    url: URL,
  ) {
    const schemes = this.#document.components.securitySchemes;
    const proves = (name: string) => asked.headers.has(String(schemes[name]?.name ?? "authorization"));
    const faults: string[] = [];
    if (security.length > 0 && !security.some((one) => Object.keys(one).every(proves))) {
      faults.push("it was done without what the document's security asks for");
    }
    for (const [index, { name, in: where }] of parameters.entries()) {
      const value = where === "query" ? url.searchParams.get(name) : asked.headers.get(name);
      if (value !== null) faults.push(...this.schemaFaults(`${at}/parameters/${index}/schema`, value));
    }
    if (requestBody !== undefined && asked.body !== undefined) {
      const type = asked.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "none";
      if (!(type in requestBody.content)) return [...faults, `it was done for a request of ${type}`];
      const value = doneOf(JSON.parse(asked.body), answered);
      faults.push(...this.schemaFaults(`${at}/requestBody/content/${pointerPart(type)}/schema`, value));
    }
    return faults.map((fault) => `the request: ${fault}`);
  }

  /** @param pointer to a schema in the document, as a fragment of a URI */
  schemaFaults(pointer: string, value: unknown): string[] {
    let validate = this.#validators.get(pointer);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: `${id}${pointer}` });
      this.#validators.set(pointer, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath || "it"} ${message} ${JSON.stringify(params)}`,
    );
  }

  #resolve(pointer: string): unknown {
    return pointer
      .slice(2)
      .split("/")
      .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], this.#document);
  }
}

/** Of a batch, the items that got a certificate: the others may be anything. */
function doneOf(body: unknown, { body: answer }: Answered): unknown {
  const { results } = JSON.parse(answer) as { results?: readonly { readonly status: number }[] };
  const { requests } = body as { requests?: readonly unknown[] };
  if (results === undefined || requests === undefined) return body;
  const done = requests.filter((_, at) => results[at]?.status === 201);
  // Whatever else is there, or is not, must show; with no item left the rest cannot be told from an empty batch.
  return done.length === 0
    ? { ...(body as object), requests: [{ token: "", csr: "" }] }
    : { ...(body as object), requests: done };
}

function allowFaults({ headers }: Answered, methods: readonly string[]): string[] {
  const allow = (headers.get("allow") ?? "").split(",").map((method) => method.trim());
  return [...methods].sort().join() === allow.sort().join()
    ? []
    : [`allow: ${allow} where ${methods} are in the document`];
}

function methodsOf(documented: readonly string[]): string[] {
  const methods = documented.map((method) => method.toUpperCase());
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"];
}

const pointerPart = (part: string) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));

/** With each object allowed no more members than it lists, so that an answer cannot say what the document does not. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const mapped = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)])) as Schema;
  return mapped.type === "object" && mapped.properties !== undefined && !("additionalProperties" in mapped)
    ? { ...mapped, additionalProperties: false }
    : mapped;
}
