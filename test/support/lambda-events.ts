import { randomUUID } from "node:crypto";

/** What stands before the function: a function URL, or an HTTP API with a stage (`$default` or a name). */
export type LambdaFront = { readonly kind: "function-url" } | { readonly kind: "http-api"; readonly stage: string };

/** A request as a server got it. */
export interface RawRequest {
  readonly method: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  /** Names and values in turn, as `IncomingMessage.rawHeaders`. */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
}

/** The most that Lambda takes for a synchronous invocation, in bytes. */
export const maxPayloadBytes = 6 * 1024 * 1024;

// What both fronts hand over as text; all else, and whatever is compressed, comes in base64.
const textTypes = /^(?:text\/.*|application\/(?:json|javascript|xml))\s*(?:;|$)/i;
const hopByHop = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "te"]);

/**
 * The event of payload format 2.0 that AWS makes of a request ("Invoking Lambda function URLs" and "Create AWS Lambda proxy
 * integrations for HTTP APIs"): header names in lower case, repeated ones joined by commas, cookies apart, bodies as text or
 * base64. An HTTP API decodes the path and puts a named stage before it; a function URL leaves it as it came.
 */
export function eventOf({ method, target, rawHeaders, body }: RawRequest, front: LambdaFront): object {
  const [path = "/", ...queries] = target.split("?");
  const rawQueryString = queries.join("?");
  const headers: Record<string, string> = {};
  const cookies: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? "";
    const value = rawHeaders[at + 1] ?? "";
    if (hopByHop.has(name)) continue;
    if (name === "cookie") cookies.push(...value.split(/;\s*/));
    else headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  const domainPrefix = "abcdefghij0123456789";
  const isUrl = front.kind === "function-url";
  const domainName = `${domainPrefix}.${isUrl ? "lambda-url" : "execute-api"}.eu-central-1.${isUrl ? "on.aws" : "amazonaws.com"}`;
  const stage = isUrl ? "$default" : front.stage;
  const decoded = decode(path);
  const rawPath = isUrl ? path : stage === "$default" ? decoded : `/${stage}${decoded}`;
  const isText = textTypes.test(headers["content-type"] ?? "") && headers["content-encoding"] === undefined;
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    ...(cookies.length > 0 && { cookies }),
    headers: {
      ...headers,
      host: domainName,
      "x-amzn-trace-id": "Root=1-6924d0a0-0123456789abcdef01234567",
      "x-forwarded-for": "192.0.2.1",
      "x-forwarded-port": "443",
      "x-forwarded-proto": "https",
    },
    ...(rawQueryString !== "" && { queryStringParameters: Object.fromEntries(new URLSearchParams(rawQueryString)) }),
    requestContext: {
      accountId: isUrl ? "anonymous" : "123456789012",
      apiId: domainPrefix,
      domainName,
      domainPrefix,
      http: {
        method,
        path: isUrl ? decoded : rawPath,
        protocol: "HTTP/1.1",
        sourceIp: "192.0.2.1",
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: randomUUID(),
      routeKey: "$default",
      stage,
      time: "25/Nov/2026:10:00:00 +0000",
      timeEpoch: 1_795_600_800_000,
    },
    ...(body.length > 0 && { body: Buffer.from(body).toString(isText ? "utf8" : "base64") }),
    isBase64Encoded: body.length > 0 && !isText,
  };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
