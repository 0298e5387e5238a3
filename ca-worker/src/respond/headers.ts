/**
 * What every answer carries: the name that the log has for the request, and that nothing of it is a page, is to be guessed
 * at, or may be kept. An answer that may be kept says so itself.
 */
export function commonHeaders(requestId: string): Readonly<Record<string, string>> {
  return {
    "x-request-id": requestId,
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
  };
}
