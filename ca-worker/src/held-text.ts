import type { Clock } from "@signet/shared/deps";
import type { TextSource } from "./text-source.ts";

/** A text at hand that goes with requests to others: a token, the certificates to trust. */
export interface HeldText {
  /** @throws what `source` or `check` throws while there is none that counted before */
  read(): Promise<string>;
  /** Lets go of it: whoever got it does not take it, and its place may have another one. */
  drop(): void;
}

// As often as everything else that is kept outside.
const rereadSeconds = 30;

/**
 * A text without white space around it, read on first use and again every 30 s. While it can't be read, or `check` throws
 * for it, the one before goes on counting.
 */
export function heldText(source: TextSource, clock: Clock, check: (text: string) => void = () => {}): HeldText {
  let held: { readonly text: string; readonly readAt: number } | undefined;
  return {
    async read() {
      // A clock that was set back far makes it due, too.
      if (held !== undefined && Math.abs(clock() - held.readAt) <= rereadSeconds) return held.text;
      try {
        const text = (await source.read()).trim();
        check(text);
        held = { text, readAt: clock() };
      } catch (error) {
        // As it is now: it may have been dropped meanwhile.
        if (held === undefined) throw error;
        held = { ...held, readAt: clock() };
      }
      return held.text;
    },
    drop() {
      held = undefined;
    },
  };
}
