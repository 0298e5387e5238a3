import type { Fetch } from "@signet/shared/deps";
import { fetchText } from "../fetch-text.ts";
import type { TextSource } from "../text-source.ts";

// A request for a certificate waits for it. 100,000 UIDs are 4 MB.
const timeoutMs = 2_000;
const maxBytes = 8 * 1024 * 1024;

/** Whether the place of a deny list is a URL, and not a location. */
export function isUrl(place: string): boolean {
  return /^https?:/.test(place);
}

/** The deny list at a URL, which is sent again only when it has changed. */
export function denyListAtUrl(fetch: Fetch, url: string): TextSource {
  let known: { readonly text: string; readonly etag: string | undefined } | undefined;
  return {
    async read() {
      const options = { accept: "application/json", timeoutMs, maxBytes, etag: known?.etag };
      const found = await fetchText(fetch, url, options);
      if (found !== "unchanged") known = found;
      return known?.text ?? "";
    },
  };
}
