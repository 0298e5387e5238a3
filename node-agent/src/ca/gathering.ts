import type { Cancel, Deps } from "../deps.ts";

// Of a burst of 1,000 on a machine with its CA, three quarters went alone without it.
const seconds = 0.01;

/**
 * Lets jobs gather for one batch: when a request has just begun, what comes next waits for more to go along. One that comes
 * out of the quiet goes at once, and a CA that takes longer than that is asked for more meanwhile.
 */
export class Gathering {
  readonly #onEnd: () => void;
  readonly #deps: Pick<Deps, "monotonic" | "setTimer">;
  #begunAt = Number.NEGATIVE_INFINITY;
  #cancelTimer: Cancel | undefined;

  /** @param onEnd looks again at what waits */
  constructor(onEnd: () => void, deps: Pick<Deps, "monotonic" | "setTimer">) {
    this.#onEnd = onEnd;
    this.#deps = deps;
  }

  /** A request begins. */
  begin(): void {
    this.#begunAt = this.#deps.monotonic();
  }

  /** Whether to wait; if so, `onEnd` comes when it is over. */
  isOn(): boolean {
    const left = this.#begunAt + seconds - this.#deps.monotonic();
    if (left <= 0) return false;
    this.#cancelTimer ??= this.#deps.setTimer(() => {
      this.#cancelTimer = undefined;
      this.#onEnd();
    }, left * 1_000);
    return true;
  }

  stop(): void {
    this.#cancelTimer?.();
  }
}
