import type { Config } from "../config.ts";
import type { Finding } from "../terminal/finding.ts";

/** What belongs together in the doctor's report. */
export interface Section {
  /** May hold foreign text. */
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** What every check may need. */
export interface Patient {
  readonly config: Config;
  /** Seconds since the epoch. */
  readonly now: () => number;
  readonly interrupted: AbortSignal;
}

/** The code of a failed system call, or whatever says best what went wrong. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.message : String(error);
}
