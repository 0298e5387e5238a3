import type { Awaitable } from "@signet/shared/deps";

/** So many certificates in so many seconds. */
export interface Rate {
  readonly certificates: number;
  readonly perSeconds: number;
}

/** Holds each key to a rate of its own. */
export interface RateLimiter {
  /**
   * Counts one certificate.
   * @param waiting certificates that wait already, such as the items before this one that the same batch was refused
   * @returns undefined when admitted, or the whole seconds after which the same would be: at least 1
   */
  admit(key: string, waiting?: number): Awaitable<number | undefined>;
}
