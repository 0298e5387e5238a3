import type { Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { wholeRequestId } from "../request-id.ts";
import type { AuditEvent } from "./event.ts";
import type { AuditSink } from "./sink.ts";

export interface DeliveryOptions {
  readonly sink: AuditSink;
  /** Whether nothing may be signed that the sink does not have. */
  readonly required: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As in `Platform`: where it is given, no request may wait for what another one has begun. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

/** How a sink fares, for metrics. All numbers only grow, but for `waiting`. */
export interface SinkStatus {
  readonly name: string;
  readonly required: boolean;
  readonly delivered: number;
  /** Attempts that failed, each with one or more events. */
  readonly failures: number;
  /** Events that the sink never got: it was down for too long, or it would not have them. */
  readonly dropped: number;
  readonly waiting: number;
}

interface Urgent {
  readonly event: AuditEvent;
  readonly resolve: () => void;
  readonly reject: (error: SignetError) => void;
}

/** Events that travel together. */
interface Lane {
  /** Somebody waits for each of them. */
  urgent: Urgent[];
  waiting: AuditEvent[];
  sending: Promise<void> | undefined;
  attempts: number;
}

// An event is about 1 KiB: what an outage may cost in memory.
const maxWaiting = 10_000;
// Anybody can be refused as often as he likes: that must not push out the records of certificates.
const maxWaitingRefusals = maxWaiting / 2;
// How long to leave a sink alone that just failed; whoever needs it now asks all the same.
const cooldownSeconds = 1;
// Where every request delivers its own, nobody comes later to try for it.
const attemptsOfOne = 2;

/**
 * The way of events to one sink: one delivery at a time, with all that came while the one before was under way, so that
 * it keeps up with any load without timers. While the sink is down they wait, up to a bound; what comes beyond is lost
 * and counted.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #lanes = new Map<string, Lane>();
  #failing = false;
  #triedAt = Number.NEGATIVE_INFINITY;
  #delivered = 0;
  #failures = 0;
  #dropped = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  get required(): boolean {
    return this.#options.required;
  }

  /** How many requests hold memory here for what they have to deliver; one for all where they share the way. */
  get lanes(): number {
    return this.#lanes.size;
  }

  get status(): SinkStatus {
    const { sink, required } = this.#options;
    const waiting = [...this.#lanes.values()].reduce(
      (sum, { urgent, waiting }) => sum + urgent.length + waiting.length,
      0,
    );
    const counts = { delivered: this.#delivered, failures: this.#failures, dropped: this.#dropped, waiting };
    return { name: sink.name, required, ...counts };
  }

  /**
   * Delivers an event now and waits until the sink has it.
   * @throws SignetError `cannot-sign`
   */
  deliver(event: AuditEvent): Promise<void> {
    const lane = this.#laneOf(event);
    return new Promise((resolve, reject) => {
      lane.urgent.push({ event, resolve, reject });
      this.#start(lane);
    });
  }

  /** Delivers an event when it can be. */
  add(event: AuditEvent): void {
    const lane = this.#laneOf(event);
    if (lane.waiting.length >= (event.event === "refused" ? maxWaitingRefusals : maxWaiting)) {
      this.#dropped++;
      return;
    }
    lane.waiting.push(event);
    if (!this.#coolingDown()) this.#start(lane);
  }

  /** Tries to deliver all that waits, and gives back when that is done or has failed. */
  async flush(): Promise<void> {
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) this.#start(lane);
    await Promise.all(lanes.map(({ sending }) => sending));
  }

  /** Where requests must not wait for each other each has a lane of its own. */
  #laneOf({ requestId }: AuditEvent): Lane {
    const key = this.#options.waitUntil === undefined ? "" : wholeRequestId(requestId);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { urgent: [], waiting: [], sending: undefined, attempts: 0 };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #coolingDown(): boolean {
    const { clock, waitUntil } = this.#options;
    return waitUntil === undefined && this.#failing && clock() - this.#triedAt < cooldownSeconds;
  }

  #start(lane: Lane): void {
    if (lane.sending !== undefined || lane.urgent.length + lane.waiting.length === 0) return;
    lane.sending = this.#run(lane);
    this.#options.waitUntil?.(lane.sending);
  }

  async #run(lane: Lane): Promise<void> {
    // What comes in the same turn goes along.
    await undefined;
    while (lane.urgent.length + lane.waiting.length > 0) {
      if (!(await this.#attempt(lane)) && !this.#mayTryAgain(lane)) break;
    }
    lane.sending = undefined;
    if (lane.waiting.length > 0) return;
    for (const [key, other] of this.#lanes) if (other === lane) this.#lanes.delete(key);
  }

  async #attempt(lane: Lane): Promise<boolean> {
    const { sink, clock } = this.#options;
    const urgent = lane.urgent.splice(0, sink.maxEvents);
    const others = lane.waiting.splice(0, sink.maxEvents - urgent.length);
    this.#triedAt = clock();
    try {
      await sink.send([...others, ...urgent.map(({ event }) => event)]);
    } catch (error) {
      const known = asSignetError(error, "internal");
      this.#tellFailure(known);
      if (known.retryAfterSeconds === undefined) this.#dropped += others.length;
      else lane.waiting.unshift(...others);
      // Those who came meanwhile would only find out the same.
      for (const { reject } of [...urgent, ...lane.urgent.splice(0)]) reject(cannotSign(sink, known));
      return false;
    }
    this.#delivered += urgent.length + others.length;
    this.#tellSuccess();
    for (const { resolve } of urgent) resolve();
    return true;
  }

  #mayTryAgain(lane: Lane): boolean {
    if (this.#options.waitUntil === undefined) return false;
    lane.attempts++;
    if (lane.attempts < attemptsOfOne) return true;
    this.#dropped += lane.waiting.splice(0).length;
    return false;
  }

  /** Once in an outage, however many events it holds up. */
  #tellFailure({ message }: SignetError): void {
    const { sink, required, logger } = this.#options;
    this.#failures++;
    if (this.#failing) return;
    this.#failing = true;
    const text = required ? "audit events cannot be delivered; nothing is signed" : "audit events cannot be delivered";
    logger.error({ event: "audit-sink", sink: sink.name, required, error: message }, text);
  }

  #tellSuccess(): void {
    const { sink, required, logger } = this.#options;
    if (!this.#failing) return;
    this.#failing = false;
    const fields = { event: "audit-sink", sink: sink.name, required, dropped: this.#dropped };
    logger.info(fields, "audit events are delivered again");
  }
}

function cannotSign(sink: AuditSink, cause: SignetError): SignetError {
  const message = `what must be recorded at ${sink.name} cannot be: ${cause.message}`;
  return new SignetError("cannot-sign", message, { cause, retryAfterSeconds: cause.retryAfterSeconds ?? 5 });
}
