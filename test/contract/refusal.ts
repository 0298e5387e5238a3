import type { Ask, Bench } from "./platforms.ts";

/** A request that the CA refuses, and how. */
export interface Refusal {
  readonly rule: string;
  readonly status: number;
  readonly code: string;
  /** It is about bytes that are no text. AWS gives the function text that it has decoded itself, leniently. */
  readonly bytes?: true;
  readonly request: Ask | ((bench: Bench) => Ask | Promise<Ask>);
}
