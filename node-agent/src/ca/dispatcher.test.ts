import { SignetError } from "@signet/shared/errors";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Agenda } from "../agenda.ts";
import { Metrics } from "../metrics.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Endpoint } from "./endpoint.ts";
import type { Job } from "./flight.ts";
import { RetryBudget } from "./retry-budget.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const deps = {
  now: () => Date.now() / 1_000,
  monotonic: () => performance.now() / 1_000,
  setTimer: (run: () => void, milliseconds: number) => {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  random: () => 0.5,
  log: silent,
  metrics: new Metrics(),
};
const first: Job = { priority: Number.POSITIVE_INFINITY, retry: false, expiresAt: undefined, characters: 100 };

/** What was sent and not answered yet. */
let sent: (readonly Job[])[];
/** Whether the CA answers at once. */
let answers: boolean;
let dispatcher: Dispatcher<Job, string>;
let agenda: Agenda;
let endpoint: Endpoint;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  answers = false;
  agenda = new Agenda(deps);
  endpoint = new Endpoint({ url: "https://ca.test/", maxBatch: 32 }, deps);
  dispatcher = new Dispatcher({
    endpoints: [endpoint],
    send: (_endpoint, jobs) => {
      sent.push(jobs);
      return answers ? Promise.resolve(jobs.map(() => ({ value: "answer" }))) : new Promise(() => {});
    },
    probe: () => new Promise(() => {}),
    budget: new RetryBudget(deps.monotonic),
    ...{ agenda, deps },
  });
});
afterEach(() => {
  dispatcher.stop();
  agenda.stop();
  vi.useRealTimers();
});

const run = async (job: Job) => {
  const outcome = dispatcher.run(job);
  outcome.catch(() => {});
  await vi.advanceTimersByTimeAsync(1);
  return { outcome };
};

/** So far apart that none waits for the next. */
const runOneByOne = async (count: number) => {
  for (let n = 0; n < count; n++) {
    await run(first);
    await vi.advanceTimersByTimeAsync(10);
  }
};

test("four requests are under way at most, and what comes then waits to go together; renewals find a way out", async () => {
  await runOneByOne(10);
  expect(sent.map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  const renewal = { ...first, priority: 5_000, expiresAt: 5_000 };
  await run(renewal);
  // With it goes what waits already.
  expect(sent.map(({ length }) => length)).toEqual([1, 1, 1, 1, 7]);
  expect(sent[4]?.[0]).toBe(renewal);
});

test("what comes in one go leaves together", async () => {
  for (let n = 0; n < 40; n++) dispatcher.run(first).catch(() => {});
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.map(({ length }) => length)).toEqual([32]);
  await vi.advanceTimersByTimeAsync(10);
  expect(sent.map(({ length }) => length)).toEqual([32, 8]);
});

test("what comes right after a request has begun gathers for a moment, or until a batch is full", async () => {
  const add = (count: number) => {
    for (let n = 0; n < count; n++) dispatcher.run(first).catch(() => {});
    return vi.advanceTimersByTimeAsync(1);
  };
  await add(1);
  await add(20);
  expect(sent.map(({ length }) => length)).toEqual([1]);
  await add(15);
  expect(sent.map(({ length }) => length)).toEqual([1, 32]);
  await vi.advanceTimersByTimeAsync(10);
  expect(sent.map(({ length }) => length)).toEqual([1, 32, 3]);
});

test("what comes right after a request gathers too when that one is answered already; documents and repeats do not", async () => {
  answers = true;
  await run(first);
  await run(first);
  await run(first);
  expect(sent.map(({ length }) => length)).toEqual([1]);
  const document = { ...first, priority: 0, characters: undefined };
  await run(document);
  expect(sent.slice(1)).toEqual([[document]]);
  await vi.advanceTimersByTimeAsync(10);
  expect(sent.map(({ length }) => length)).toEqual([1, 1, 2]);
  const repeat = { ...first, priority: 0, retry: true };
  await run(repeat);
  expect(sent.slice(3)).toEqual([[repeat]]);
});

test("a job that finds no turn ends after half a minute", async () => {
  await runOneByOne(4);
  const { outcome } = await run(first);
  const ended = expect(outcome).rejects.toMatchObject({
    code: "ca-unreachable",
    message: "the CA could not be asked within 30 s",
  });
  await vi.advanceTimersByTimeAsync(30_000);
  await ended;
});

test("after a stop nothing is sent and nothing is left to wait for", async () => {
  await runOneByOne(6);
  dispatcher.stop();
  agenda.stop();
  await run(first);
  expect(sent).toHaveLength(4);
  // Those under way have their end by the connection; they alone still have a timer.
  expect(vi.getTimerCount()).toBe(4);
});

describe("a CA that was set aside for 15 seconds", () => {
  const setAside = (retryAfterSeconds?: number) => {
    const more = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    for (let n = 0; n < 9; n++) endpoint.failed(new SignetError("ca-busy", "busy", more), true, 1);
  };
  const renewal = (leftSeconds: number) => {
    const expiresAt = deps.now() + leftSeconds;
    return { ...first, priority: expiresAt, expiresAt };
  };

  test("is tried again while the certificate of a renewal has time left", async () => {
    setAside();
    await run(renewal(12));
    // A quarter of the rest, the draw being in the middle, and 0.2 s.
    await vi.advanceTimersByTimeAsync(1_650);
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toHaveLength(1);
  });

  test.each([
    ["for a first certificate", () => first, undefined],
    ["for a certificate that has run out", () => renewal(-1), undefined],
    ["for a certificate with more time left than that", () => renewal(600), undefined],
    ["when the CA itself asked for time", () => renewal(12), 1],
  ])("is left alone %s", async (_why, job, retryAfterSeconds) => {
    setAside(retryAfterSeconds);
    await run(job());
    await vi.advanceTimersByTimeAsync(14_900);
    expect(sent).toEqual([]);
  });
});
