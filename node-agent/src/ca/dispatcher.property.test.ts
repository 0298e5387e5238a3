import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Agenda } from "../agenda.ts";
import { Metrics } from "../metrics.ts";
import { backoffSeconds } from "./backoff.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Endpoint } from "./endpoint.ts";
import type { Job } from "./flight.ts";
import type { Outcome } from "./outcome.ts";
import { RetryBudget } from "./retry-budget.ts";

/** Time that passes only when it is told to. */
class SimulatedTime {
  #now = 1_000_000;
  readonly #timers = new Set<{ readonly due: number; readonly run: () => void }>();
  readonly now = () => this.#now;
  readonly setTimer = (run: () => void, milliseconds: number) => {
    const timer = { due: this.#now + milliseconds / 1_000, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  async runUntil(end: number): Promise<void> {
    for (;;) {
      await settled();
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > end) break;
      this.#now = Math.max(this.#now, next.due);
      this.#timers.delete(next);
      next.run();
    }
    this.#now = end;
  }
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

// The dispatcher lets what comes in at once gather in one turn of the event loop.
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface Fleet {
  readonly workloads: number;
  readonly urls: number;
  readonly downSeconds: number;
  readonly answerSeconds: number;
  readonly seed: number;
  readonly takesBatches: boolean;
}

/** So many workloads of one agent, each trying by itself until it has a certificate, while the CA is down and after. */
async function simulate({ workloads, urls, downSeconds, answerSeconds, seed, takesBatches }: Fleet) {
  const time = new SimulatedTime();
  let state = seed;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const deps = {
    now: time.now,
    monotonic: time.now,
    setTimer: time.setTimer,
    random,
    log: silent,
    metrics: new Metrics(),
  };
  const agenda = new Agenda(deps);
  const start = time.now();
  const isDown = () => time.now() < start + downSeconds;
  const sleep = (seconds: number) => new Promise<void>((resolve) => agenda.after(seconds, resolve));
  let requests = 0;
  const endpoints = Array.from({ length: urls }, (_, at) => new Endpoint({ url: `ca-${at}`, maxBatch: 64 }, deps));
  const dispatcher = new Dispatcher<Job, true>({
    endpoints,
    ...{ agenda, deps },
    budget: new RetryBudget(deps.monotonic),
    send: async (_endpoint, jobs): Promise<readonly Outcome<true>[] | undefined> => {
      requests++;
      const down = isDown();
      await sleep(answerSeconds);
      if (down) throw new SignetError("ca-busy", "down");
      return jobs.length > 1 && !takesBatches ? undefined : jobs.map(() => ({ value: true }));
    },
    probe: async () => {
      requests++;
      const down = isDown();
      await sleep(answerSeconds);
      if (down) throw new SignetError("ca-busy", "down");
    },
  });
  let issued = 0;
  const workload = async (at: number) => {
    await sleep(at / workloads);
    for (let failures = 0; ; failures++) {
      try {
        const job = { priority: at, retry: failures > 0, expiresAt: undefined, characters: 2_000 };
        await dispatcher.run(job);
        issued++;
        return;
      } catch {
        await sleep(backoffSeconds(failures + 1, random));
      }
    }
  };
  for (let at = 0; at < workloads; at++) void workload(at);
  await time.runUntil(start + downSeconds);
  const whileDown = requests;
  // The longest backoffs of an endpoint and of a workload, one after the other, and the answers.
  await time.runUntil(start + downSeconds + 30 + 30 + 10 + (takesBatches ? 0 : workloads * answerSeconds));
  dispatcher.stop();
  agenda.stop();
  return { whileDown, issued };
}

const fleets = fc.record({
  workloads: fc.integer({ min: 1, max: 400 }),
  urls: fc.integer({ min: 1, max: 3 }),
  downSeconds: fc.integer({ min: 1, max: 120 }),
  answerSeconds: fc.double({ min: 0, max: 0.5, noNaN: true }),
  seed: fc.nat(),
  takesBatches: fc.boolean(),
});

test("however many workloads fail, they ask no more often than the retry budget allows, and all are served later", async () => {
  await fc.assert(
    fc.asyncProperty(fleets, async (fleet) => {
      const { whileDown, issued } = await simulate(fleet);
      // Four requests are out before the first failure is known; ten repeats are saved up, one more comes in each second.
      expect(whileDown).toBeLessThanOrEqual(4 + 10 + fleet.downSeconds + 1);
      expect(issued).toBe(fleet.workloads);
    }),
    { numRuns: 30 },
  );
}, 60_000);
