import { commonHeaders } from "./headers.ts";

/**
 * An answer in JSON, its headers as plain members: Node writes those as they are, where `Headers`, which Hono makes of what
 * is set in its context, are taken apart and put together again.
 */
export function jsonResponse(text: string, status: number, requestId: string): Response {
  return new Response(text, { status, headers: { ...commonHeaders(requestId), "content-type": "application/json" } });
}
