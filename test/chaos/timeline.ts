import type { Event } from "./plan.ts";

export interface RequestCounts {
  readonly requests: number;
  readonly explained: number;
  readonly unexplained: number;
}

/** Writes a run as it goes, one line for each event, for people. */
export class Timeline {
  readonly #began = Date.now();
  readonly #counts: RequestCounts;

  constructor(counts: RequestCounts) {
    this.#counts = counts;
  }

  /** Seconds since the beginning. */
  get seconds(): number {
    return (Date.now() - this.#began) / 1_000;
  }

  say(event: string, detail: string, tookMs?: number): void {
    const { explained, requests, unexplained } = this.#counts;
    const took = tookMs === undefined ? "" : `${(tookMs / 1_000).toFixed(1)} s`;
    const failures = unexplained === 0 ? `${explained}` : `${explained} + ${unexplained} UNEXPLAINED`;
    console.log(
      [
        this.seconds.toFixed(1).padStart(6),
        event.padEnd(23),
        took.padStart(6),
        String(requests).padStart(7),
        failures.padEnd(9),
        detail,
      ].join("  "),
    );
  }

  heading(): void {
    console.log(
      ["     s", "event".padEnd(23), "  took", "requests".slice(0, 7), "explained", "what happened"].join("  "),
    );
  }
}

/** An event's parameters in words. */
export function describe(event: Event): string {
  switch (event.kind) {
    case "CA is slow":
      return `${event.delay} s late, ${place(event.where)}`;
    case "CA is busy":
      return `${event.status}${event.retryAfter === undefined ? "" : `, retry-after ${event.retryAfter}`}, ${place(event.where)}`;
    case "CA answers wrong":
      return `${event.answers.slice(0, 2).join(", ")}, ..., ${place(event.where)}`;
    case "CA refuses connections":
    case "CA hangs":
      return place(event.where);
    case "agent's clock jumps":
    case "agent's clock is off":
      return `by ${event.by} s`;
    case "Envoy is restarted":
      return event.signal;
    default:
      return "";
  }
}

function place(where: 0 | 1 | "all"): string {
  return where === "all" ? "all addresses" : `address ${where + 1}`;
}

/** Two columns, for the end of a run. */
export function table(rows: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n");
}
