import { SignetError } from "@signet/shared/errors";
import { expect, test } from "vitest";
import { type Flight, Simulation } from "./test-simulation.ts";

const middle = () => 0.5;
const no = () => new SignetError("token-not-accepted", "no");
const limits = { lane: { maxUnaccepted: 16, maxAsked: 4 } };
const open = (sim: Simulation, podUid: string, connection: number) =>
  sim.connect(sim.caller(podUid, 3_600), "stream", connection);
const asked = (sim: Simulation) => sim.flights.map(({ podUid }) => podUid);

test("200 tokens of one connection put nobody else's first request off", async () => {
  const sim = new Simulation(middle, limits);
  const forged = Array.from({ length: 200 }, () => open(sim, "forged", 1));
  expect(forged.filter((stream) => stream !== undefined)).toHaveLength(16);
  const good = open(sim, "good", 2);
  await sim.settle();
  expect(asked(sim)).toEqual([...Array.from({ length: 4 }, () => "forged"), "good"]);
  sim.grant(sim.flights.at(-1) as Flight);
  await sim.settle();
  expect(good?.subscription.current()).toBeDefined();
});

test("those of one connection have their turns one after the other, until all are answered", async () => {
  const sim = new Simulation(middle, limits);
  const streams = Array.from({ length: 16 }, (_, n) => open(sim, `pod ${n}`, 1));
  let most = 0;
  await sim.settle((flight) => {
    most = Math.max(most, sim.flights.length);
    sim.grant(flight);
  });
  expect(most).toBe(4);
  for (const stream of streams) expect(stream?.subscription.current()).toBeDefined();
  // Each is out of the way once it is accepted.
  expect(open(sim, "one more", 1)).toBeDefined();
});

test("a refused token takes up room of its connection for as long as its refusal is remembered", async () => {
  const sim = new Simulation(middle, limits);
  for (let n = 0; n < 16; n++) open(sim, "forged", 1);
  await sim.settle((flight) => sim.refuse(flight, no()));
  expect(open(sim, "forged", 1)).toBeUndefined();
  await sim.pass(6);
  expect(open(sim, "forged", 1)).toBeDefined();
});

test("when there are too many in all, the connection that has most gives way to one that has less", async () => {
  const sim = new Simulation(middle, { ...limits, maxAdmissions: 20 });
  const greedy = Array.from({ length: 16 }, () => open(sim, "greedy", 1));
  for (let n = 0; n < 4; n++) open(sim, "modest", 2);
  expect(open(sim, "newcomer", 3)).toBeDefined();
  expect(greedy.map((stream) => stream?.ended?.code).filter((code) => code !== undefined)).toEqual(["ca-busy"]);
  expect(open(sim, "greedy", 1)).toBeUndefined();
  expect(sim.workloads.waitingTokens).toBe(20);
});

test("one that nobody waits for any more gives way first", async () => {
  const sim = new Simulation(middle, { ...limits, maxAdmissions: 3 });
  const [left] = [open(sim, "left", 1), open(sim, "a", 2), open(sim, "b", 3)];
  left?.subscription.close();
  await sim.settle();
  expect(open(sim, "newcomer", 4)).toBeDefined();
  expect(open(sim, "too many", 5)).toBeUndefined();
  // The answer that is still out changes nothing.
  await sim.settle((flight) => sim.grant(flight));
  expect([...sim.workloads.all].map(({ caller }) => caller.claims.podUid)).toEqual(["a", "b", "newcomer"]);
});

test("what was given up before its turn is never asked about", async () => {
  const sim = new Simulation(middle, { lane: { maxUnaccepted: 16, maxAsked: 1 }, maxAdmissions: 3 });
  const streams = [open(sim, "first", 1), open(sim, "second", 1), open(sim, "third", 1)];
  streams[1]?.subscription.close();
  open(sim, "newcomer", 2);
  await sim.settle((flight) => sim.grant(flight));
  expect(sim.leaves.map(({ podUid }) => podUid)).toEqual(["first", "newcomer", "third"]);
});

test("tokens that the kubelet brings are in nobody's way", async () => {
  const sim = new Simulation(middle, limits);
  for (let n = 0; n < 100; n++) sim.connect(sim.caller(`pod ${n}`, 3_600), "kubelet");
  await sim.settle();
  expect(sim.flights).toHaveLength(100);
});
