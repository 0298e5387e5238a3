import type { Random } from "./random.ts";

/** What the CA's front answers in place of the CA's own answer; each has one thing wrong with it. */
export const wrongAnswers = [
  "another pod's identity",
  "another key",
  "expired",
  "not valid yet",
  "unknown authority",
  "an earlier certificate",
  "not JSON",
  "cut off",
  "empty object",
] as const;
export type WrongAnswer = (typeof wrongAnswers)[number];

/** One thing that goes wrong. Times are in seconds. */
export type Event =
  | { readonly kind: "CA refuses connections"; readonly lasts: number; readonly where: Where }
  | { readonly kind: "CA hangs"; readonly lasts: number; readonly where: Where }
  | { readonly kind: "CA is slow"; readonly lasts: number; readonly delay: number; readonly where: Where }
  | {
      readonly kind: "CA is busy";
      readonly lasts: number;
      readonly status: 429 | 500 | 503;
      readonly retryAfter: number | undefined;
      readonly where: Where;
    }
  | {
      readonly kind: "CA answers wrong";
      readonly lasts: number;
      /** One after the other, from the beginning again after the last. */
      readonly answers: readonly WrongAnswer[];
      readonly where: Where;
    }
  | { readonly kind: "authorities change" }
  | { readonly kind: "agent is killed"; readonly lasts: number }
  | { readonly kind: "agent is restarted" }
  | { readonly kind: "agent is suspended"; readonly lasts: number }
  | { readonly kind: "agent's clock jumps"; readonly lasts: number; readonly by: number }
  | { readonly kind: "agent's clock is off"; readonly lasts: number; readonly by: number }
  | { readonly kind: "socket file is removed" }
  | {
      readonly kind: "Envoy is restarted";
      readonly workload: number;
      readonly signal: "SIGTERM" | "SIGKILL";
      readonly lasts: number;
    }
  | { readonly kind: "tokens are rotated" }
  | { readonly kind: "a secret is refused"; readonly workload: number };
export type EventKind = Event["kind"];

/** What an event acts on; two events of one part never happen at once. */
export function partOf(kind: EventKind): "agent" | "CA" | EventKind {
  if (kind.startsWith("agent") || kind.startsWith("socket")) return "agent";
  return kind.startsWith("CA") || kind.startsWith("authorities") ? "CA" : kind;
}

/** Which of the CA's addresses: one (there are two), or all of them. */
export type Where = 0 | 1 | "all";

export interface Step {
  /** Seconds from the beginning. */
  readonly at: number;
  readonly event: Event;
}

export interface PlanOptions {
  readonly seconds: number;
  readonly workloads: number;
  /** Kinds that this machine cannot do. */
  readonly without?: readonly EventKind[];
}

interface Track {
  /** Dealt in random order, again and again; a kind that stands twice comes twice as often. */
  readonly deck: readonly EventKind[];
  /** Seconds of peace after an event of this track, at least and at most. */
  readonly rest: readonly [number, number];
}

// Events of one track never overlap, those of different tracks do as chance has it. What stops renewals comes with a rest
// long enough for them to catch up: an outage longer than what is left of a certificate's life is no fault of an agent.
const tracks: readonly Track[] = [
  {
    deck: [
      "CA refuses connections",
      "CA hangs",
      "CA is slow",
      "CA is busy",
      "CA answers wrong",
      "CA answers wrong",
      "authorities change",
      "authorities change",
      "authorities change",
    ],
    rest: [4, 6],
  },
  {
    deck: [
      "agent is killed",
      "agent is restarted",
      "agent is suspended",
      "agent's clock jumps",
      "agent's clock is off",
      "socket file is removed",
    ],
    // Longer than for the CA: an agent that has just started renews nothing for a while.
    rest: [7, 11],
  },
  { deck: ["Envoy is restarted"], rest: [3, 6] },
  { deck: ["tokens are rotated", "a secret is refused"], rest: [5, 9] },
];

/** All that can happen. */
export const eventKinds: readonly EventKind[] = [...new Set(tracks.flatMap(({ deck }) => deck))];

/** Draws a whole run, in the order of time. */
export function makePlan(random: Random, { seconds, workloads, without = [] }: PlanOptions): Step[] {
  const steps: Step[] = [];
  const draw = new EventDraw(random, workloads);
  for (const { deck, rest } of tracks) {
    const kinds = deck.filter((kind) => !without.includes(kind));
    let cards: EventKind[] = [];
    for (let at = random.between(1, 5); at < seconds; ) {
      if (cards.length === 0) cards = random.shuffle(kinds);
      const event = draw.of(cards.pop() as EventKind);
      steps.push({ at, event });
      at += ("lasts" in event ? event.lasts : 1) + random.between(...rest);
    }
  }
  return steps.sort((a, b) => a.at - b.at);
}

class EventDraw {
  readonly #random: Random;
  readonly #count: number;
  #workloads: number[] = [];
  #places: Where[] = [];

  constructor(random: Random, workloads: number) {
    this.#random = random;
    this.#count = workloads;
  }

  of(kind: EventKind): Event {
    const random = this.#random;
    const sign = () => random.pick([1, -1]);
    switch (kind) {
      case "CA refuses connections":
        return { kind, lasts: random.between(2, 5), where: this.#where() };
      case "CA hangs":
        return { kind, lasts: random.between(1, 3), where: this.#where() };
      case "CA is slow":
        return { kind, lasts: random.between(2, 5), delay: random.between(0.2, 1.5), where: this.#where() };
      case "CA is busy": {
        const status = random.pick([429, 500, 503]);
        const retryAfter = random.pick([undefined, 1, 2]);
        return { kind, lasts: random.between(2, 4), status, retryAfter, where: this.#where() };
      }
      case "CA answers wrong":
        return {
          ...{ kind, lasts: random.between(3, 5), answers: random.shuffle(wrongAnswers) },
          // The second address is asked when the first is not well; it alone would have nobody to lie to.
          where: this.#where(0),
        };
      case "agent is killed":
        return { kind, lasts: random.between(0, 2) };
      case "agent is suspended":
        return { kind, lasts: random.between(1, 4) };
      case "agent's clock jumps":
        return { kind, lasts: random.between(1, 3), by: sign() * random.between(60, 600) };
      case "agent's clock is off":
        return { kind, lasts: random.between(6, 12), by: sign() * random.between(2, 5) };
      case "Envoy is restarted": {
        const signal = random.pick(["SIGTERM", "SIGKILL"]);
        return { kind, workload: this.#workload(), signal, lasts: random.between(0, 1) };
      }
      case "a secret is refused":
        return { kind, workload: this.#workload() };
      default:
        return { kind };
    }
  }

  /** Half of the time both addresses, so that there is no CA at all. */
  #where(single?: Where): Where {
    if (this.#places.length === 0) this.#places = this.#random.shuffle(["all", "all", 0, 1]);
    const place = this.#places.pop() as Where;
    return place === "all" ? place : (single ?? place);
  }

  #workload(): number {
    if (this.#workloads.length === 0) {
      this.#workloads = this.#random.shuffle([...Array(this.#count).keys()]);
    }
    return this.#workloads.pop() as number;
  }
}
