import { SignetError } from "@signet/shared/errors";
import { expect, test } from "vitest";
import { type Flight, leafSeconds, Simulation } from "./test-simulation.ts";

const middle = () => 0.5;
// With random() held at 0.5 a certificate is renewed at half of its life.
const halfLife = leafSeconds / 2;

async function startOne(sim: Simulation, lifetime = 100_000) {
  const stream = sim.connect(sim.caller("a", lifetime), "stream") ?? expect.fail("refused");
  await sim.settle((flight) => sim.grant(flight));
  const serial = () => sim.workloads.all[Symbol.iterator]().next().value?.status.serialNumber;
  return { stream, serial };
}
const stateOf = (sim: Simulation) => [...sim.workloads.all].map(({ status }) => status.state);

test("while a renewal is out, another token's certificate is taken, and no second renewal goes out", async () => {
  const sim = new Simulation(middle);
  const { serial } = await startOne(sim);
  await sim.pass(halfLife + 1);
  const [renewal] = sim.flights;
  sim.connect(sim.caller("a", 100_000), "stream");
  const first = sim.flights.find((flight) => flight !== renewal) ?? expect.fail("no request");
  sim.grant(first);
  await sim.settle();
  expect([stateOf(sim), serial(), sim.requests]).toEqual([["landing"], "2", 3]);
  await sim.pass(halfLife + 1);
  expect([stateOf(sim), sim.flights, sim.requests]).toEqual([["asking"], [renewal], 3]);
  sim.grant(renewal as Flight);
  await sim.settle();
  expect([stateOf(sim), serial()]).toEqual([["held"], "3"]);
});

test("a token that the kubelet brings renews nothing by itself; the renewal is asked with it", async () => {
  const sim = new Simulation(middle);
  await startOne(sim, 2_000);
  const fresh = sim.caller("a", 5_000);
  sim.workloads.refresh(fresh);
  await sim.pass(halfLife - 1);
  expect(sim.flights).toEqual([]);
  await sim.pass(2);
  expect(sim.flights.map(({ what }) => what.token)).toEqual([fresh.token]);
});

test("without a token that holds, streams end, and a token brings the renewal at once", async () => {
  const sim = new Simulation(middle);
  const { stream } = await startOne(sim, 600);
  const secret = stream.subscription.current();
  await sim.pass(halfLife + 1);
  expect(stream.ended?.code).toBe("token-expired");
  expect(stateOf(sim)).toEqual(["tokenless"]);
  const fresh = sim.caller("a", 5_000);
  sim.connect(fresh, "kubelet");
  sim.workloads.refresh(fresh);
  expect(sim.streams.at(-1)?.subscription.current()).toBe(secret);
  await sim.settle();
  expect(sim.flights.map(({ what }) => what.token)).toEqual([fresh.token]);
});

test("a renewal that fails is tried again well before the end, however long the CA has been away", async () => {
  const sim = new Simulation(() => 0.999);
  await startOne(sim);
  const down = new SignetError("ca-unreachable", "down");
  await sim.pass(leafSeconds - 10 - sim.time, (flight) => sim.refuse(flight, down));
  // From here on the CA answers: there is time for it still.
  await sim.pass(9, (flight) => sim.grant(flight));
  expect(stateOf(sim)).toEqual(["held"]);
  expect(sim.newest("a")?.issued.serialNumber).toBe("2");
});

test("the first answer of a CA that comes back wakes all that wait for it, but who was told to wait", async () => {
  const sim = new Simulation(() => 0.999);
  const down = (retryAfterSeconds?: number) =>
    new SignetError("ca-busy", "down", retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
  for (const pod of ["a", "b", "told"]) sim.connect(sim.caller(pod, 100_000), "stream");
  for (let n = 0; n < 9; n++) {
    for (const flight of [...sim.flights])
      sim.refuse(flight, down(n === 8 && flight.podUid === "told" ? 300 : undefined));
    if (n < 8) await sim.pass(31);
  }
  await sim.settle();
  const before = sim.requests;
  sim.connect(sim.caller("c", 100_000), "stream");
  await sim.settle((flight) => sim.grant(flight));
  expect(sim.requests).toBe(before + 1);
  await sim.pass(1.1, (flight) => sim.grant(flight));
  expect(sim.leaves.map(({ podUid }) => podUid)).toEqual(["c", "a", "b"]);
});

test("a clock that was ahead when a certificate came, and is right again, does not lose its renewal", async () => {
  const sim = new Simulation(middle);
  sim.error = 3.4;
  await startOne(sim);
  sim.error = 0;
  await sim.pass(halfLife + 1);
  expect(sim.flights).toHaveLength(1);
});

test("a clock set back by a day delays no renewal, and makes no certificate good again that is over", async () => {
  const sim = new Simulation(middle);
  const { stream } = await startOne(sim);
  sim.error = -86_400;
  await sim.pass(halfLife + 1);
  expect(sim.flights).toHaveLength(1);
  await sim.pass(halfLife - 2);
  expect(stream.subscription.current()).toBeDefined();
  // Its back-dated beginning counts: that is how long it lives by its own word.
  await sim.pass(62);
  expect(stream.subscription.current()).toBeUndefined();
});

test("a clock a day ahead for a moment: nothing expired is given meanwhile, and nothing is lost by it", async () => {
  const sim = new Simulation(middle);
  const { stream } = await startOne(sim, 7_200);
  const secret = stream.subscription.current();
  sim.error = 86_400;
  expect(stream.subscription.current()).toBeUndefined();
  // What is due now finds no token that holds.
  await sim.pass(31);
  expect(stateOf(sim)).toEqual(["tokenless"]);
  sim.error = 0;
  expect([...sim.workloads.all][0]?.secret()).toBe(secret);
  const again = sim.connect(sim.streams[0] === undefined ? expect.fail() : sim.caller("a", 7_200), "kubelet");
  expect(again?.subscription.current()).toBe(secret);
  await sim.pass(15, (flight) => sim.grant(flight));
  expect(stateOf(sim)).toEqual(["held"]);
});

test("a machine that slept past the end of a certificate gives nothing old, and renews when it wakes", async () => {
  const sim = new Simulation(middle);
  const { stream } = await startOne(sim, 100_000);
  // The monotonic clock stands while a machine is suspended.
  sim.error = leafSeconds + 1;
  expect(stream.subscription.current()).toBeUndefined();
  await sim.pass(31);
  expect(sim.flights).toHaveLength(1);
});

test("who comes before the agenda wakes starts what is due", async () => {
  const sim = new Simulation(middle);
  await startOne(sim, 100_000);
  sim.error = leafSeconds + 1;
  sim.connect(sim.caller("a", 100_000), "kubelet");
  expect(sim.flights.map(({ what }) => what.expiresAt !== undefined)).toEqual([true]);
});
