import type { Terminal } from "./terminal.ts";

/** The world of a command that somebody types: no global is touched beside it. */
export interface CommandIo {
  readonly out: Terminal;
  /** Standard error, for what is no result. */
  readonly tell: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Wall-clock time in seconds. */
  readonly now: () => number;
  /** Aborted when the person wants no more. */
  readonly interrupted: AbortSignal;
}
