import type { Clock } from "@signet/shared/deps";
import type { Rate, RateLimiter } from "./limiter.ts";

// Three times the nodes of the largest cluster that Kubernetes supports. Whoever can make more keys than this is past its
// own limit anyway; what is forgotten only lets others ask again.
const maxKeys = 16_384;

/**
 * A limiter in the memory of one instance: the generic cell rate algorithm, which is a leaky bucket that keeps one number
 * for a key, the time at which all that was admitted is paid off (ITU-T I.371 Annex A).
 *
 * A key may use its whole rate in one burst. What is refused costs nothing.
 */
export class MemoryRateLimiter implements RateLimiter {
  readonly #clock: Clock;
  readonly #perSeconds: number;
  readonly #secondsEach: number;
  /** When each key is paid off; the key that was used last is the last. */
  readonly #paidAt = new Map<string, number>();

  constructor({ certificates, perSeconds }: Rate, clock: Clock) {
    this.#clock = clock;
    this.#perSeconds = perSeconds;
    this.#secondsEach = perSeconds / certificates;
  }

  /** How many keys it has in memory. */
  get size(): number {
    return this.#paidAt.size;
  }

  admit(key: string, waiting = 0): number | undefined {
    const now = this.#clock();
    let paidAt = Math.max(this.#paidAt.get(key) ?? now, now);
    if (paidAt > now + this.#perSeconds) {
      // The clock was set back: none owes more than a whole period.
      paidAt = now + this.#perSeconds;
      this.#paidAt.set(key, paidAt);
    }
    const next = paidAt + this.#secondsEach;
    const over = next + waiting * this.#secondsEach - (now + this.#perSeconds);
    // A rate that does not divide evenly must not refuse the last of a burst for its rounding.
    if (over > 1e-6) return Math.max(1, Math.ceil(over));
    this.#paidAt.delete(key);
    this.#forget(now);
    this.#paidAt.set(key, next);
    return undefined;
  }

  // Those that were used longest ago are first: two looks for each key that is added never let paid ones pile up.
  #forget(now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      const [oldest] = this.#paidAt;
      if (oldest === undefined) return;
      const [key, paidAt] = oldest;
      if (paidAt > now && this.#paidAt.size < maxKeys) return;
      this.#paidAt.delete(key);
    }
  }
}
