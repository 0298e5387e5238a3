import { Load, type LoadRequest } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";

// After an Envoy says that it is ready, the one that calls it may be about to tell of an attempt from before.
const settleMs = 500;

interface Absence {
  readonly name: string;
  readonly from: number;
  until: number;
}

/** Requests of all pairs, and which failures an Envoy that was not there explains. Nothing is tried twice. */
export class Traffic {
  requests = 0;
  explained = 0;
  readonly unexplained: string[] = [];
  /** Longest time without a good answer between one pair whose two Envoys were there, in milliseconds. */
  longestGap = 0;
  readonly #load: Load;
  readonly #absences: Absence[] = [];
  readonly #failed: LoadRequest[] = [];
  readonly #lastGood = new Map<string, number>();

  constructor(mesh: Mesh) {
    this.#load = new Load(mesh.pairs, { pauseMs: 8, onRequest: (request) => this.#take(request) });
  }

  /** From now on the Envoy of `name` is not there. @returns to call when it is again */
  leave(name: string): () => number {
    const absence: Absence = { name, from: Date.now(), until: Number.POSITIVE_INFINITY };
    this.#absences.push(absence);
    return () => {
      absence.until = Date.now();
      return absence.until - absence.from;
    };
  }

  /** Failures so far that nothing explains; one of an Envoy that is not back yet is explained. */
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
    this.#failed.push(request);
    if (this.#explains(request, request.sent, request.over)) this.explained++;
    else {
      const at = new Date(request.over).toISOString();
      this.unexplained.push(`${at} ${pair}, after ${request.over - request.sent} ms: ${request.fault}`);
    }
  }

  #explains({ from, to }: LoadRequest, began: number, ended: number): boolean {
    return this.#absences.some(
      (absence) =>
        (absence.name === from || absence.name === to) && absence.from <= ended && began <= absence.until + settleMs,
    );
  }
}
