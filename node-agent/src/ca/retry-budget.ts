import type { Clock } from "@signet/shared/deps";

// So many requests that repeat one may go out at once after a quiet time.
const capacity = 10;
// An agent whose CA fails for long repeats this often, whatever the number of its workloads.
const perSecond = 1;
// And besides so many for each request that repeats none.
const perRequest = 0.1;

/**
 * The one allowance of an agent for requests that repeat another: first certificates, renewals and bundles all draw on it.
 * A CA that fails under load is not asked more by every agent that waits for it.
 *
 * A repeat that succeeds gives back what it took: a CA that answers again is asked at full speed.
 */
export class RetryBudget {
  readonly #monotonic: Clock;
  #tokens = capacity;
  #at: number;

  constructor(monotonic: Clock) {
    this.#monotonic = monotonic;
    this.#at = monotonic();
  }

  /** Whether a repeat may go out now. */
  get available(): boolean {
    this.#refill();
    return this.#tokens >= 1;
  }

  /** Seconds until the next may. */
  get availableInSeconds(): number {
    this.#refill();
    return Math.max(0, 1 - this.#tokens) / perSecond;
  }

  /** A request that repeats none has gone out. */
  deposit(): void {
    this.#add(perRequest);
  }

  /** A repeat goes out; only when {@link available}. */
  take(): void {
    this.#tokens--;
  }

  /** What was taken led to an answer. */
  giveBack(): void {
    this.#add(1);
  }

  #refill(): void {
    const now = this.#monotonic();
    this.#add((now - this.#at) * perSecond);
    this.#at = now;
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(capacity, this.#tokens + tokens);
  }
}
