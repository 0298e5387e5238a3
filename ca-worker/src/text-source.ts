import type { Awaitable } from "@signet/shared/deps";

/** A text that is kept outside of the program and may change: an authority document, a key set, a token, a deny list. */
export interface TextSource {
  /** @throws SignetError `source-unavailable` with the place and the fault in its message, never with what it holds */
  read(): Awaitable<string>;
}
