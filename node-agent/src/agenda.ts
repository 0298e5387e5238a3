import type { Cancel, Deps } from "./deps.ts";

// A machine that was suspended, or whose clock was set, is noticed after this long; timers alone would sleep on.
const longestSleepSeconds = 30;

interface Entry {
  readonly due: number;
  readonly run: () => void;
}

/** Everything that is to happen later, by wall-clock time, behind one timer. */
export class Agenda {
  readonly #deps: Pick<Deps, "now" | "setTimer">;
  readonly #entries = new Set<Entry>();
  #wakeAt = Number.POSITIVE_INFINITY;
  #cancelTimer: Cancel | undefined;
  #stopped = false;

  constructor(deps: Pick<Deps, "now" | "setTimer">) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Runs `run` once, at `due` (seconds since the epoch) or as soon after as possible. */
  at(due: number, run: () => void): Cancel {
    if (this.#stopped) return () => undefined;
    const entry = { due, run };
    this.#entries.add(entry);
    if (due < this.#wakeAt) this.#sleepUntil(due);
    return () => {
      this.#entries.delete(entry);
      if (this.#entries.size === 0) this.#rest();
    };
  }

  /** Runs `run` once, `seconds` from now. */
  after(seconds: number, run: () => void): Cancel {
    return this.at(this.#deps.now() + seconds, run);
  }

  stop(): void {
    this.#stopped = true;
    this.#entries.clear();
    this.#rest();
  }

  #rest(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  #sleepUntil(due: number): void {
    this.#cancelTimer?.();
    const now = this.#deps.now();
    const seconds = Math.min(Math.max(due - now, 0), longestSleepSeconds);
    this.#wakeAt = now + seconds;
    // A timer may fire a hair early; one millisecond more keeps it from waking twice.
    this.#cancelTimer = this.#deps.setTimer(() => this.#wake(), Math.ceil(seconds * 1_000) + 1);
  }

  #wake(): void {
    this.#rest();
    const now = this.#deps.now();
    for (const entry of [...this.#entries]) {
      // What ran before may have cancelled it.
      if (entry.due <= now && this.#entries.delete(entry)) entry.run();
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#entries) next = Math.min(next, due);
    if (this.#entries.size > 0 && next < this.#wakeAt) this.#sleepUntil(next);
  }
}
