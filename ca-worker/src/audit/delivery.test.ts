import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { itemRequestId } from "../request-id.ts";
import { Delivery } from "./delivery.ts";
import type { AuditEvent } from "./event.ts";

const event = (requestId: string): AuditEvent => ({
  ...{ event: "refused", time: "2026-11-24T12:00:00.000Z", requestId, code: "token-missing" },
  reason: "the request has no bearer token",
});
const down = new SignetError("internal", "https://siem.example/ answers 503", { retryAfterSeconds: 5 });
const unwanted = new SignetError("internal", "https://siem.example/ refuses the events: 400");
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

interface Bench {
  readonly required?: boolean;
  /** As on Workers, where no request may wait for another. */
  readonly requestsLiveAlone?: boolean;
  readonly maxEvents?: number;
}

/** A sink whose answers a test gives one by one. */
function bench({ required = false, requestsLiveAlone = false, maxEvents = 500 }: Bench = {}) {
  const logger = makeLogger();
  const time = { now: 1_000 };
  const kept: Promise<unknown>[] = [];
  const sends: { readonly ids: readonly string[]; answer(error?: Error): Promise<void> }[] = [];
  const delivery = new Delivery({
    sink: {
      name: "siem",
      maxEvents,
      async send(events) {
        const answered = await new Promise<Error | undefined>((resolve) => {
          const answer = (error?: Error) => {
            resolve(error);
            return turn();
          };
          sends.push({ ids: events.map(({ requestId }) => requestId), answer });
        });
        if (answered !== undefined) throw answered;
      },
    },
    required,
    clock: () => time.now,
    logger,
    waitUntil: requestsLiveAlone ? (work) => kept.push(work) : undefined,
  });
  return { delivery, sends, logger, time, kept };
}

describe("an event that somebody waits for", () => {
  test("is there when the wait ends, not before", async () => {
    const { delivery, sends } = bench({ required: true });
    let arrived = false;
    const waiting = delivery.deliver(event("a")).then(() => {
      arrived = true;
    });
    await turn();
    expect({ arrived, ids: sends[0]?.ids }).toEqual({ arrived: false, ids: ["a"] });
    await sends[0]?.answer();
    await waiting;
    expect(delivery.status).toMatchObject({ delivered: 1, waiting: 0 });
  });

  test("is cannot-sign, with a time to come back, when the sink is down; so for all who came meanwhile", async () => {
    const { delivery, sends, logger } = bench({ required: true });
    const outcomes = [delivery.deliver(event("a"))];
    await turn();
    outcomes.push(delivery.deliver(event("b")));
    const settled = Promise.allSettled(outcomes);
    await sends[0]?.answer(down);
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { name: "SignetError", code: "cannot-sign", retryAfterSeconds: 5 },
      });
    }
    expect(sends).toHaveLength(1);
    expect(logger.lines).toMatchObject([{ level: "error", event: "audit-sink", sink: "siem", required: true }]);
  });

  test("is tried although the sink has just failed", async () => {
    const { delivery, sends } = bench({ required: true });
    const first = delivery.deliver(event("a")).catch(() => "failed");
    await turn();
    await sends[0]?.answer(down);
    await first;
    const second = delivery.deliver(event("b"));
    await turn();
    await sends[1]?.answer();
    await second;
  });
});

describe("events that nobody waits for", () => {
  test("go together while the delivery before is under way, and no more at once than the sink takes", async () => {
    const { delivery, sends } = bench({ maxEvents: 3 });
    for (const id of ["a", "b"]) delivery.add(event(id));
    await turn();
    for (const id of ["c", "d", "e", "f"]) delivery.add(event(id));
    await sends[0]?.answer();
    await sends[1]?.answer();
    await sends[2]?.answer();
    expect(sends.map(({ ids }) => ids)).toEqual([["a", "b"], ["c", "d", "e"], ["f"]]);
  });

  test("wait through an outage, which is told once, and arrive in order when it is over", async () => {
    const { delivery, sends, logger, time } = bench();
    delivery.add(event("a"));
    await turn();
    await sends[0]?.answer(down);
    // The sink is left alone for a second.
    delivery.add(event("b"));
    await turn();
    expect(sends).toHaveLength(1);
    time.now += 1;
    delivery.add(event("c"));
    await turn();
    await sends[1]?.answer(down);
    time.now += 1;
    delivery.add(event("d"));
    await turn();
    await sends[2]?.answer();
    expect(sends.map(({ ids }) => ids)).toEqual([["a"], ["a", "b", "c"], ["a", "b", "c", "d"]]);
    expect(delivery.status).toEqual({
      ...{ name: "siem", required: false, delivered: 4, failures: 2, dropped: 0, waiting: 0 },
    });
    expect(logger.lines.map(({ level, message }) => ({ level, message }))).toEqual([
      { level: "error", message: "audit events cannot be delivered" },
      { level: "info", message: "audit events are delivered again" },
    ]);
  });

  test("are lost and counted beyond 10,000", async () => {
    const { delivery, sends } = bench();
    delivery.add(event("first"));
    await turn();
    for (let n = 0; n < 10_002; n++) delivery.add({ ...event(`${n}`), event: "signed" } as AuditEvent);
    expect(delivery.status).toMatchObject({ waiting: 10_000, dropped: 2 });
    await sends[0]?.answer();
    expect(sends[1]?.ids).toHaveLength(500);
  });

  test("of refusals, which anybody can cause, leave half of the room to those of certificates", async () => {
    const { delivery, sends } = bench();
    delivery.add(event("first"));
    await turn();
    for (let n = 0; n < 10_000; n++) delivery.add(event(`${n}`));
    expect(delivery.status).toMatchObject({ waiting: 5_000, dropped: 5_000 });
    const signed = { ...event("signed"), event: "signed" } as AuditEvent;
    delivery.add(signed);
    expect(delivery.status).toMatchObject({ waiting: 5_001, dropped: 5_000 });
    for (let n = 0; n < 11; n++) await sends[n]?.answer();
    expect(sends.at(-1)?.ids).toEqual(["signed"]);
  });

  test("hold nothing up when the sink will never have them: they are counted as lost", async () => {
    const { delivery, sends, time } = bench();
    delivery.add(event("unwanted"));
    await turn();
    await sends[0]?.answer(unwanted);
    time.now += 1;
    delivery.add(event("b"));
    await turn();
    expect(sends[1]?.ids).toEqual(["b"]);
    expect(delivery.status).toMatchObject({ dropped: 1 });
  });

  test("are flushed at once, also while the sink is left alone", async () => {
    const { delivery, sends } = bench();
    delivery.add(event("a"));
    await turn();
    await sends[0]?.answer(down);
    let flushed = false;
    const flush = delivery.flush().then(() => {
      flushed = true;
    });
    await turn();
    expect({ flushed, ids: sends[1]?.ids }).toEqual({ flushed: false, ids: ["a"] });
    await sends[1]?.answer();
    await flush;
  });

  test("a flush gives up with the sink, so that a shutdown ends", async () => {
    const { delivery, sends } = bench();
    delivery.add(event("a"));
    await turn();
    const flush = delivery.flush();
    await sends[0]?.answer(down);
    await flush;
    expect(delivery.status).toMatchObject({ waiting: 1 });
  });
});

describe("where requests live alone", () => {
  test("each delivers its own, the items of a batch together, and its life is prolonged for that", async () => {
    const { delivery, sends, kept } = bench({ requestsLiveAlone: true });
    delivery.add(event("a"));
    for (const index of [0, 1]) delivery.add(event(itemRequestId("b", index)));
    await turn();
    expect(sends.map(({ ids }) => ids)).toEqual([["a"], ["b-0", "b-1"]]);
    for (const send of sends) await send.answer();
    await Promise.all(kept);
    expect(kept).toHaveLength(2);
    expect(delivery.status).toMatchObject({ delivered: 3, waiting: 0 });
    expect(delivery.lanes).toBe(0);
  });

  test("what fails is tried once more and then counted as lost, since nobody comes later to try", async () => {
    const { delivery, sends, kept } = bench({ requestsLiveAlone: true });
    delivery.add(event("a"));
    await turn();
    await sends[0]?.answer(down);
    await sends[1]?.answer(down);
    await Promise.all(kept);
    expect(sends.map(({ ids }) => ids)).toEqual([["a"], ["a"]]);
    expect(delivery.status).toMatchObject({ failures: 2, dropped: 1, waiting: 0 });
    expect(delivery.lanes).toBe(0);
  });

  test("a request that comes after another's failure is not made to wait", async () => {
    const { delivery, sends } = bench({ requestsLiveAlone: true });
    delivery.add(event("a"));
    await turn();
    await sends[0]?.answer(down);
    delivery.add(event("b"));
    await turn();
    expect(sends.at(-1)?.ids).toEqual(["b"]);
  });
});
