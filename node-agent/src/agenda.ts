import type { Cancel, Deps } from "./deps.ts";

// A machine that was suspended, or whose clock was set, is noticed after this long; timers alone would sleep on.
const longestSleepSeconds = 30;
// A clock that is steered moves by milliseconds in that time (adjtimex: at most 500 ppm).
const jumpSeconds = 2;

interface Entry {
  /** By the wall clock. */
  readonly due: number;
  /** By the monotonic clock. */
  readonly dueAfter: number;
  readonly run: () => void;
}

type AgendaDeps = Pick<Deps, "now" | "monotonic" | "setTimer" | "log" | "metrics">;

/**
 * Everything that is to happen later, behind one timer. An entry is due by whichever clock comes there first: the wall
 * clock goes on while a machine is suspended, and the monotonic clock while the wall clock is set back.
 */
export class Agenda {
  readonly #deps: AgendaDeps;
  readonly #entries = new Set<Entry>();
  /** By the monotonic clock, as timers are. */
  #wakeAt = Number.POSITIVE_INFINITY;
  #cancelTimer: Cancel | undefined;
  #stopped = false;
  /** Wall clock less monotonic clock, when they were last looked at. */
  #lead: number;

  constructor(deps: AgendaDeps) {
    this.#deps = deps;
    this.#lead = deps.now() - deps.monotonic();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Runs `run` once, at `due` (seconds since the epoch) or as soon after as possible; never at once. */
  at(due: number, run: () => void): Cancel {
    if (this.#stopped) return () => undefined;
    this.#compareClocks();
    const monotonic = this.#deps.monotonic();
    const entry = { due, dueAfter: monotonic + Math.max(0, due - this.#deps.now()), run };
    this.#entries.add(entry);
    if (entry.dueAfter < this.#wakeAt) this.#sleepUntil(entry.dueAfter);
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

  #sleepUntil(dueAfter: number): void {
    this.#cancelTimer?.();
    const monotonic = this.#deps.monotonic();
    const seconds = Math.min(Math.max(dueAfter - monotonic, 0), longestSleepSeconds);
    this.#wakeAt = monotonic + seconds;
    // A timer may fire a hair early; one millisecond more keeps it from waking twice.
    this.#cancelTimer = this.#deps.setTimer(() => this.#wake(), Math.ceil(seconds * 1_000) + 1);
  }

  #wake(): void {
    this.#rest();
    this.#compareClocks();
    const [now, monotonic] = [this.#deps.now(), this.#deps.monotonic()];
    for (const entry of [...this.#entries]) {
      const isDue = entry.due <= now || entry.dueAfter <= monotonic;
      // What ran before may have cancelled it.
      if (isDue && this.#entries.delete(entry)) entry.run();
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { due, dueAfter } of this.#entries) next = Math.min(next, dueAfter, monotonic + due - now);
    if (this.#entries.size > 0 && next < this.#wakeAt) this.#sleepUntil(next);
  }

  #compareClocks(): void {
    const { log, metrics, monotonic, now } = this.#deps;
    const lead = now() - monotonic();
    const jumpedSeconds = lead - this.#lead;
    this.#lead = lead;
    if (Math.abs(jumpedSeconds) < jumpSeconds) return;
    metrics.clockJumps[jumpedSeconds > 0 ? "forward" : "back"]++;
    log.warn(
      { jumpedSeconds: Math.round(jumpedSeconds * 1_000) / 1_000 },
      jumpedSeconds > 0
        ? "the wall clock has jumped ahead: it was set, or the machine was suspended"
        : "the wall clock was set back",
    );
  }
}
