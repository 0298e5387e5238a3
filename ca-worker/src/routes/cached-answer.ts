import { toHex } from "@signet/shared/base64";
import type { Context } from "hono";
import type { AppEnv } from "../app.ts";
import type { Crypto } from "../crypto.ts";

export interface Cacheable {
  /** With its quotes. */
  readonly etag: string;
  readonly maxAgeSeconds: number;
  readonly contentType: string;
  readonly body: () => string;
}

/** An answer that anybody may keep for a while, or 304 where the client has it. */
export function cachedAnswer(context: Context<AppEnv>, answer: Cacheable): Response {
  const { etag, maxAgeSeconds, contentType, body } = answer;
  const headers = { etag, "cache-control": `public, max-age=${maxAgeSeconds}` };
  if (matches(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
  return context.body(body(), 200, { ...headers, "content-type": contentType });
}

const bytes = new TextEncoder();

/** An ETag that is another one for another body. */
export async function etagOf(body: string, crypto: Crypto): Promise<string> {
  return `"${toHex(await crypto.sha256(bytes.encode(body))).slice(0, 32)}"`;
}

/** Whether an `if-none-match` names an etag (RFC 9110 §13.1.2): weak comparison, a list, or any. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
}
