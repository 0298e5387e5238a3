import { Load, type LoadRequest } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";

// After an Envoy says that it is ready, the one that calls it may be about to tell of an attempt from before.
const settleMs = 500;

interface Absence {
  readonly name: string;
  readonly from: number;
  until: number;
}

/** Failures in a row of one pair for one reason. */
interface Streak {
  readonly pair: string;
  readonly fault: string;
  readonly from: number;
  until: number;
  count: number;
}

/** Requests of all pairs, and which failures an Envoy that was not there explains. Nothing is tried twice. */
export class Traffic {
  requests = 0;
  explained = 0;
  unexplained = 0;
  /** Longest time without a good answer between one pair whose two Envoys were there, in milliseconds. */
  longestGap = 0;
  readonly #load: Load;
  readonly #absences: Absence[] = [];
  readonly #streaks: Streak[] = [];
  readonly #lastGood = new Map<string, number>();

  constructor(mesh: Mesh) {
    this.#load = new Load(mesh.pairs, { pauseMs: 8, onRequest: (request) => this.#take(request) });
  }

  /** The failures that nothing explains, those in a row as one line. */
  get unexplainedFailures(): string[] {
    return this.#streaks.map(({ count, fault, from, pair, until }) => {
      return `${new Date(from).toISOString()} ${pair}: ${count} in ${until - from} ms: ${fault}`;
    });
  }

  isAway(name: string): boolean {
    return this.#absences.some((absence) => absence.name === name && absence.until === Number.POSITIVE_INFINITY);
  }

  /** From now on the Envoy of `name` is not there. @returns to call when it is again */
  leave(name: string): () => void {
    const absence: Absence = { name, from: Date.now(), until: Number.POSITIVE_INFINITY };
    this.#absences.push(absence);
    return () => {
      absence.until = Date.now();
    };
  }

  async stop(): Promise<void> {
    await this.#load.stop();
  }

  #take(request: LoadRequest): void {
    this.requests++;
    const pair = `${request.from} to ${request.to}`;
    if (request.fault === undefined) {
      const last = this.#lastGood.get(pair);
      if (last !== undefined && !this.#explains(request, last, request.over)) {
        this.longestGap = Math.max(this.longestGap, request.over - last);
      }
      this.#lastGood.set(pair, request.over);
      return;
    }
    if (this.#explains(request, request.sent, request.over)) {
      this.explained++;
      return;
    }
    this.unexplained++;
    const { fault, over, sent } = request;
    const last = this.#streaks.findLast((streak) => streak.pair === pair);
    if (last !== undefined && last.fault === fault && (this.#lastGood.get(pair) ?? 0) < last.from) {
      last.until = over;
      last.count++;
    } else this.#streaks.push({ pair, fault, from: sent, until: over, count: 1 });
  }

  #explains({ from, to }: LoadRequest, began: number, ended: number): boolean {
    return this.#absences.some(
      (absence) =>
        (absence.name === from || absence.name === to) && absence.from <= ended && began <= absence.until + settleMs,
    );
  }
}
