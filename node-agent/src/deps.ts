import type { Clock, Logger, SetTimer } from "@signet/shared/deps";
import type { Metrics } from "./metrics.ts";

export type { Cancel } from "@signet/shared/deps";

/** The outside world as the agent's core sees it; the clock is wall-clock time in seconds. */
export interface Deps {
  readonly now: Clock;
  /** Seconds since whenever; a step of the wall clock does not touch it. */
  readonly monotonic: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly setTimer: SetTimer;
  readonly log: Logger;
  readonly metrics: Metrics;
}
