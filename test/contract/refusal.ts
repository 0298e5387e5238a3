import type { Ask, Bench } from "./platforms.ts";

/** A request that the CA refuses, and how. */
export interface Refusal {
  readonly rule: string;
  readonly status: number;
  readonly code: string;
  readonly request: Ask | ((bench: Bench) => Ask | Promise<Ask>);
}
