import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Leaf, leafSeconds, Simulation } from "./test-simulation.ts";

const pods = ["a", "b", "c"] as const;
const pod = fc.constantFrom(...pods);
const lifetime = fc.constantFrom(300, 1_800, 7_200, 100_000);
const nth = fc.nat({ max: 20 });

const event = fc.oneof(
  fc.record({ kind: fc.constant("connect" as const), pod, lifetime, from: fc.constantFrom("stream", "kubelet") }),
  fc.record({ kind: fc.constant("again" as const), nth, from: fc.constantFrom("stream", "kubelet") }),
  fc.record({ kind: fc.constant("close" as const), nth }),
  fc.record({ kind: fc.constant("grant" as const), nth }),
  fc.record({ kind: fc.constant("grant" as const), nth }),
  fc.record({ kind: fc.constant("fail" as const), nth, retryAfter: fc.constantFrom(undefined, 0, 60) }),
  fc.record({ kind: fc.constant("refuse" as const), nth }),
  fc.record({ kind: fc.constant("token" as const), pod, lifetime }),
  fc.record({ kind: fc.constant("pass" as const), seconds: fc.constantFrom(1, 20, 600, 1_500, 4_000) }),
  fc.record({
    kind: fc.constant("step" as const),
    seconds: fc.constantFrom(-86_400, -1_000, -3.4, 3.4, 1_000, 86_400),
  }),
  fc.record({ kind: fc.constant("taint" as const) }),
  fc.record({ kind: fc.constant("discard" as const), pod }),
);
type Event = typeof event extends fc.Arbitrary<infer Value> ? Value : never;

const down = (retryAfterSeconds?: number) =>
  new SignetError("ca-busy", "down", retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
const no = () => new SignetError("token-not-accepted", "no");

/** Runs events, and keeps beside it what must be. */
class Model {
  readonly sim: Simulation;
  readonly #callers: ReturnType<Simulation["caller"]>[] = [];
  /** By serial number, when each certificate was to be renewed as first told. */
  readonly #renewals = new Map<string, number>();
  readonly #everDiscarded = new Set<string>();

  constructor(random: () => number) {
    this.sim = new Simulation(random);
  }

  async run(event: Event): Promise<void> {
    const { sim } = this;
    const flight = "nth" in event ? sim.flights[event.nth % Math.max(1, sim.flights.length)] : undefined;
    const stream = "nth" in event ? sim.streams[event.nth % Math.max(1, sim.streams.length)] : undefined;
    switch (event.kind) {
      case "connect": {
        const caller = sim.caller(event.pod, event.lifetime);
        this.#callers.push(caller);
        sim.connect(caller, event.from as "stream" | "kubelet");
        break;
      }
      case "again": {
        const caller = this.#callers[event.nth % Math.max(1, this.#callers.length)];
        // `readCaller` lets none in that has expired.
        if (caller === undefined || caller.claims.expiresAt <= sim.now) break;
        sim.connect(caller, event.from as "stream" | "kubelet");
        break;
      }
      case "close":
        stream?.subscription.close();
        break;
      case "grant":
        if (flight !== undefined) {
          sim.grant(flight);
        }
        break;
      case "fail":
        if (flight !== undefined) sim.refuse(flight, down(event.retryAfter));
        break;
      case "refuse":
        if (flight !== undefined) sim.refuse(flight, no());
        break;
      case "token":
        sim.workloads.refresh(sim.caller(event.pod, event.lifetime));
        break;
      case "pass":
        await sim.pass(event.seconds);
        break;
      case "step":
        sim.error += event.seconds;
        break;
      case "taint":
        sim.authority++;
        sim.workloads.review();
        break;
      case "discard":
        sim.workloads.discard(event.pod);
        this.#everDiscarded.add(event.pod);
    }
    await sim.settle();
    this.check();
  }

  check(): void {
    this.#oneFlightEach();
    for (const stream of this.sim.streams) this.#rightSecret(stream);
    this.#renewalStays();
    this.#oldKeysAreZero();
  }

  #oneFlightEach(): void {
    const renewals = this.sim.flights.filter(({ what }) => what.expiresAt !== undefined).map(({ podUid }) => podUid);
    // A pod that was thrown away may have left one behind.
    for (const podUid of pods.filter((one) => !this.#everDiscarded.has(one))) {
      expect(renewals.filter((one) => one === podUid).length).toBeLessThanOrEqual(1);
    }
    const firsts = this.sim.flights.filter(({ what }) => what.expiresAt === undefined).map(({ what }) => what.token);
    expect(new Set(firsts).size).toBe(firsts.length);
  }

  #rightSecret({ subscription, podUid }: Simulation["streams"][number]): void {
    const secret = subscription.current();
    const leaf = this.sim.leaves.find(({ issued }) => issued.secret === secret);
    if (secret === undefined || leaf === undefined) {
      expect(secret).toBeUndefined();
      const { workload } = subscription;
      // It waits for its first one, or its pod was thrown away.
      if (workload === undefined || subscription.isClosed || workload.status.state === "gone") return;
      // Nothing is given: then what there is has run out, by the wall clock or for sure.
      expect(workload.status.notAfter <= this.sim.now || !this.#isGood(this.sim.newest(podUid))).toBe(true);
      return;
    }
    expect(leaf.podUid).toBe(podUid);
    expect(leaf.issued.notAfter).toBeGreaterThan(this.sim.now);
    expect(this.sim.time).toBeLessThan(leaf.goodUntil + 60);
    // Throws where it was zeroed.
    expect(Buffer.from(secret.in("trusted-ca").encode("default")).includes(`key ${leaf.issued.serialNumber}`)).toBe(
      true,
    );
  }

  #isGood(leaf: Leaf | undefined): boolean {
    return leaf !== undefined && this.sim.time < leaf.goodUntil && leaf.issued.notAfter > this.sim.now;
  }

  #renewalStays(): void {
    for (const { status } of this.sim.workloads.all) {
      const leaf = this.sim.leaves.find(({ issued }) => issued.serialNumber === status.serialNumber);
      const known = this.#renewals.get(status.serialNumber);
      if (known === undefined) this.#renewals.set(status.serialNumber, status.renewAt);
      else if (leaf?.authority === this.sim.authority) expect(status.renewAt).toBe(known);
    }
  }

  #oldKeysAreZero(): void {
    const inUse = new Set([...this.sim.workloads.all].map(({ status }) => status.serialNumber));
    for (const { issued } of this.sim.leaves) {
      if (inUse.has(issued.serialNumber)) continue;
      expect(() => issued.secret.in("trusted-ca").encode("default")).toThrow(TypeError);
    }
  }
}

const history = fc.array(event, { minLength: 1, maxLength: 60 });
const seeds = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 8, maxLength: 8 });

async function modelOf(random: readonly number[], events: readonly Event[]): Promise<Model> {
  let at = 0;
  const model = new Model(() => random[at++ % random.length] ?? 0);
  for (const event of events) await model.run(event);
  return model;
}

test("whatever happens: one flight each, each pod its own key, valid ones kept, expired ones never given", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, history, async (random, events) => {
      await modelOf(random, events);
    }),
    { numRuns: 300 },
  );
});

test("whatever has happened, a CA that answers brings every stream a valid certificate", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, history, async (random, events) => {
      const { sim } = await modelOf(random, events);
      sim.error = 0;
      for (const podUid of pods) sim.workloads.refresh(sim.caller(podUid, 1e6));
      const open = sim.streams.filter(({ subscription }) => !subscription.isClosed);
      await sim.pass(400, (flight) => sim.grant(flight));
      for (const { ended, podUid, subscription } of open) {
        if (ended !== undefined) continue;
        // A stream of a pod that was thrown away has nothing to come.
        if (subscription.workload?.status.state === "gone") continue;
        expect(subscription.current(), podUid).toBeDefined();
      }
    }),
    { numRuns: 200 },
  );
});

test("whatever has happened, a certificate in use is followed by another before its end", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, history, pod, async (random, events, podUid) => {
      const { sim } = await modelOf(random, events);
      sim.error = 0;
      const stream = sim.connect(sim.caller(podUid, 1e6), "stream");
      await sim.pass(400, (flight) => sim.grant(flight));
      for (let n = 0; n < 20 && stream !== undefined; n++) {
        expect(stream.ended).toBeUndefined();
        expect(stream.subscription.current()).toBeDefined();
        await sim.pass(leafSeconds / 7, (flight) => sim.grant(flight));
      }
    }),
    { numRuns: 100 },
  );
});

test("after a stop nothing is planned, asked or taken, whatever was under way", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, history, async (random, events) => {
      const { sim } = await modelOf(random, events);
      sim.workloads.stop();
      const { requests } = sim;
      expect([sim.agenda.size, sim.hasTimer]).toEqual([0, false]);
      await sim.pass(10_000, (flight) => sim.grant(flight));
      expect(sim.requests).toBe(requests);
      for (const { subscription } of sim.streams) expect(subscription.current()).toBeUndefined();
      for (const { issued } of sim.leaves) {
        expect(() => issued.secret.in("trusted-ca").encode("default")).toThrow(TypeError);
      }
    }),
    { numRuns: 200 },
  );
});
