import type { Fetch } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { readBoundedText } from "./bounded-text.ts";
import { failureCode } from "./failure-code.ts";

export interface FetchTextOptions {
  /** Media types, as `accept` has them. */
  readonly accept: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Of the text at hand. */
  readonly etag?: string | undefined;
}

export interface FetchedText {
  readonly text: string;
  readonly etag: string | undefined;
  readonly cacheControl: string | undefined;
}

/**
 * Reads the text at a URL that the configuration names.
 * @returns "unchanged" where the server says that it is still the one with the ETag given
 * @throws SignetError `source-unavailable`, without what the server says
 */
export async function fetchText(
  fetch: Fetch,
  url: string,
  { accept, timeoutMs, maxBytes, etag }: FetchTextOptions,
): Promise<FetchedText | "unchanged"> {
  try {
    const response = await fetch(url, {
      headers: { accept, ...(etag !== undefined && { "if-none-match": etag }) },
      // A redirect would let the server choose another place to trust.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (etag !== undefined && response.status === 304) return "unchanged";
    if (response.status !== 200) {
      // What is not read would hold its connection.
      await response.body?.cancel();
      throw new SignetError("source-unavailable", `it answers ${response.status}`);
    }
    return {
      text: await readBoundedText(response, maxBytes),
      etag: response.headers.get("etag") ?? undefined,
      cacheControl: response.headers.get("cache-control") ?? undefined,
    };
  } catch (error) {
    const { message, cause = error } = asSignetError(error, "source-unavailable");
    const why = failureCode(error);
    const reason = why === undefined ? message : `${message} (${why})`;
    throw new SignetError("source-unavailable", `${withoutQuery(url)}: ${reason}`, { cause });
  }
}

/** What to call a URL in messages: the query is where a signed one has its secret. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*/s, "");
}
