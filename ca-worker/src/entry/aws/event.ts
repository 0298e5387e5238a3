import { SignetError } from "@signet/shared/errors";
import * as v from "valibot";

/**
 * An event of payload format 2.0: of a function URL, or of an API Gateway HTTP API. AWS documents it in "Invoking Lambda
 * function URLs" and in "Create AWS Lambda proxy integrations for HTTP APIs". Cookies stay behind: the CA knows none.
 */
const httpEvent = v.object({
  version: v.literal("2.0"),
  rawPath: v.string(),
  rawQueryString: v.optional(v.string(), ""),
  /** Names in lower case; values that came more than once are joined by commas. */
  headers: v.optional(v.record(v.string(), v.string()), {}),
  body: v.nullish(v.string()),
  isBase64Encoded: v.optional(v.boolean(), false),
  requestContext: v.object({
    domainName: v.optional(v.string(), ""),
    stage: v.optional(v.string(), "$default"),
    http: v.object({ method: v.string() }),
  }),
});
export type HttpEvent = v.InferOutput<typeof httpEvent>;

/** What a handler gives back for an event of payload format 2.0. API Gateway and load balancers take it for others too. */
export interface HttpResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: false;
}

// Fetch standard §2.2.1, forbidden methods.
const noRequest = new Set(["CONNECT", "TRACE", "TRACK"]);

/** The event, or what to tell the operator whose function got another. */
export function parseEvent(event: unknown): HttpEvent | { readonly unsupported: string; readonly http: boolean } {
  const parsed = v.safeParse(httpEvent, event);
  if (parsed.success) return parsed.output;
  const { httpMethod, version, requestContext } = (event ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof requestContext === "object" && requestContext !== null && "elb" in requestContext) {
    return { unsupported: "of a load balancer; put a function URL or an HTTP API before the CA", http: true };
  }
  if (version === "1.0" || typeof httpMethod === "string") {
    const advice = 'use an HTTP API with PayloadFormatVersion "2.0", or a function URL';
    return { unsupported: `of a REST API, or of payload format 1.0; ${advice}`, http: true };
  }
  const faults = parsed.issues.map((issue) => v.getDotPath(issue) ?? "the event").join(", ");
  return { unsupported: `no HTTP request of payload format 2.0 (${faults})`, http: version === "2.0" };
}

/**
 * The request that an event stands for.
 * @throws SignetError `method-not-allowed` for a method that no request can have, such as CONNECT
 */
export function requestOf(event: HttpEvent): Request {
  const { method } = event.requestContext.http;
  if (!/^[a-z]{1,20}$/i.test(method) || noRequest.has(method.toUpperCase())) {
    throw new SignetError("method-not-allowed", method);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(event.headers)) {
    try {
      headers.set(name, value);
    } catch {
      // HTTP allows no such name or value. As on a server, that header does not arrive: a token in it is missing.
    }
  }
  const bodiless = method === "GET" || method === "HEAD";
  const body =
    bodiless || event.body == null ? null : Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8");
  // The whole body is here, so that its length is known, whatever the client said.
  headers.delete("transfer-encoding");
  headers.delete("content-length");
  if (body !== null) headers.set("content-length", `${body.length}`);
  return new Request(urlOf(event), { method, headers, body });
}

export async function resultOf(response: Response): Promise<HttpResult> {
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    // All that the CA answers is text.
    body: await response.text(),
    isBase64Encoded: false,
  };
}

function urlOf({ rawPath, rawQueryString, requestContext: { domainName, stage } }: HttpEvent): URL {
  const url = new URL(/^[a-z0-9.-]+$/i.test(domainName) ? `https://${domainName}` : "https://localhost");
  // A named stage is the first part of an HTTP API's paths.
  const prefix = `/${stage}`;
  const staged = stage !== "$default" && (rawPath === prefix || rawPath.startsWith(`${prefix}/`));
  // An HTTP API hands the path over decoded, a function URL as it came. What cannot stand in a path was decoded; the URL
  // escapes most of it, but takes these for slashes and for nothing.
  url.pathname = (staged ? rawPath.slice(prefix.length) : rawPath).replace(/[\\\t\r\n]/g, encodeURIComponent);
  url.search = rawQueryString;
  return url;
}
