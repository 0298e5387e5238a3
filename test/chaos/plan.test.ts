import { expect, it } from "vitest";
import { eventKinds, makePlan, partOf } from "./plan.ts";
import { Random } from "./random.ts";

const options = { seconds: 100, workloads: 4 };
const seeds = Array.from({ length: 500 }, (_, seed) => seed);

it("is the same plan for the same seed, and another for another", () => {
  expect(makePlan(new Random(7), options)).toEqual(makePlan(new Random(7), options));
  expect(makePlan(new Random(8), options)).not.toEqual(makePlan(new Random(7), options));
});

it("has every kind of event in each plan, but those that are left out", () => {
  for (const seed of seeds) {
    const plan = makePlan(new Random(seed), { ...options, without: ["CA hangs"] });
    const kinds = new Set(plan.map(({ event }) => event.kind));
    expect([...kinds].sort(), `seed ${seed}`).toEqual(eventKinds.filter((kind) => kind !== "CA hangs").toSorted());
  }
});

it("restarts each Envoy, and leaves no CA at all now and then", () => {
  for (const seed of seeds) {
    const events = makePlan(new Random(seed), options).map(({ event }) => event);
    const restarted = new Set(events.flatMap((event) => ("signal" in event ? [event.workload] : [])));
    expect(restarted.size, `seed ${seed}`).toBe(options.workloads);
    expect(events.filter((event) => "where" in event && event.where === "all").length).toBeGreaterThan(0);
  }
});

it("gives what acts on the CA or on the agent a rest after each event", () => {
  for (const seed of seeds) {
    for (const part of ["CA", "agent"]) {
      const steps = makePlan(new Random(seed), options).filter(({ event }) => partOf(event.kind) === part);
      for (const [at, { at: begins, event }] of steps.entries()) {
        const next = steps[at + 1];
        if (next === undefined) continue;
        const ends = begins + ("lasts" in event ? event.lasts : 0);
        expect(next.at - ends, `seed ${seed}`).toBeGreaterThan(3.9);
      }
    }
  }
});
