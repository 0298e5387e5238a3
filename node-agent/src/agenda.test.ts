import type { LogFields } from "@signet/shared/deps";
import { expect, test } from "vitest";
import { Agenda } from "./agenda.ts";
import { Metrics } from "./metrics.ts";

/** Clocks that stand until they are moved, and one timer at most, as the agenda promises. */
function fixture() {
  let now = 1_000_000;
  let monotonic = 500;
  let timer: { run: () => void; at: number; milliseconds: number } | undefined;
  const metrics = new Metrics();
  const warned: LogFields[] = [];
  const agenda = new Agenda({
    now: () => now,
    monotonic: () => monotonic,
    setTimer: (run, milliseconds) => {
      expect(timer).toBeUndefined();
      const mine = { run, at: monotonic + milliseconds / 1_000, milliseconds };
      timer = mine;
      return () => {
        if (timer === mine) timer = undefined;
      };
    },
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields) => warned.push(fields),
      error: () => undefined,
    },
    metrics,
  });
  const fire = () => {
    const { run, at } = timer ?? expect.fail("no timer");
    const passed = Math.max(0, at - monotonic);
    now += passed;
    monotonic += passed;
    timer = undefined;
    run();
  };
  return {
    agenda,
    metrics,
    warned,
    timer: () => timer,
    /** Moves the wall clock only: it is set, or the machine is suspended. */
    step: (seconds: number) => {
      now += seconds;
    },
    fire,
    /** Lets time pass, with every timer of it. */
    pass: (seconds: number) => {
      const end = monotonic + seconds;
      while (timer !== undefined && timer.at <= end) fire();
      now += end - monotonic;
      monotonic = end;
    },
  };
}

test("runs what is due in its time, once", () => {
  const { agenda, fire } = fixture();
  const ran: string[] = [];
  agenda.after(10, () => ran.push("ten"));
  agenda.after(5, () => ran.push("five"));
  fire();
  expect(ran).toEqual(["five"]);
  fire();
  expect(ran).toEqual(["five", "ten"]);
  expect(agenda.size).toBe(0);
});

test("never sleeps longer than half a minute, so that months fit and a suspended machine is noticed", () => {
  const { agenda, timer, fire, step } = fixture();
  let ran = false;
  agenda.after(90 * 86_400, () => {
    ran = true;
  });
  expect(timer()?.milliseconds).toBeLessThanOrEqual(30_001);
  fire();
  expect(ran).toBe(false);
  step(90 * 86_400);
  fire();
  expect(ran).toBe(true);
});

test("a clock that is set back by a day delays nothing", () => {
  const { agenda, pass, step } = fixture();
  let ran = 0;
  agenda.after(1_800, () => ran++);
  pass(600);
  step(-86_400);
  pass(1_199);
  expect(ran).toBe(0);
  pass(2);
  expect(ran).toBe(1);
});

test("what was planned while the clock was a day ahead is not put off by a day", () => {
  const { agenda, pass, step } = fixture();
  const ran: string[] = [];
  step(86_400);
  agenda.after(10, () => ran.push("retry"));
  step(-86_400);
  pass(11);
  expect(ran).toEqual(["retry"]);
});

test("after a suspend it wakes for what is due next, not half a minute later", () => {
  const { agenda, pass, step, fire } = fixture();
  const ran: string[] = [];
  agenda.after(1_000, () => ran.push("later"));
  step(960);
  fire();
  expect(ran).toEqual([]);
  pass(10.1);
  expect(ran).toEqual(["later"]);
});

test.each([{ seconds: 86_400 }, { seconds: -86_400 }, { seconds: 3 }])(
  "a jump by $seconds s is counted once and told",
  ({ seconds }) => {
    const { agenda, pass, step, metrics, warned } = fixture();
    agenda.after(1e6, () => undefined);
    pass(100);
    expect(metrics.clockJumps).toEqual({ forward: 0, back: 0 });
    step(seconds);
    pass(100);
    expect(metrics.clockJumps).toEqual(seconds > 0 ? { forward: 1, back: 0 } : { forward: 0, back: 1 });
    expect(warned).toEqual([{ jumpedSeconds: seconds }]);
  },
);

test("a clock that is steered slowly has not jumped, however far it gets", () => {
  const { agenda, pass, step, metrics } = fixture();
  agenda.after(1e6, () => undefined);
  for (let n = 0; n < 300; n++) {
    step(0.015);
    pass(30);
  }
  expect(metrics.clockJumps).toEqual({ forward: 0, back: 0 });
});

test("what is cancelled does not run, and the last one takes the timer along", () => {
  const { agenda, timer } = fixture();
  const cancel = agenda.after(1, () => expect.fail("cancelled"));
  cancel();
  expect(timer()).toBeUndefined();
});

test("what runs may cancel what else is due, and plan anew", () => {
  const { agenda, fire, timer } = fixture();
  const ran: string[] = [];
  let cancelSecond: () => void = () => undefined;
  agenda.after(1, () => {
    cancelSecond();
    agenda.after(1, () => ran.push("third"));
  });
  cancelSecond = agenda.after(1, () => ran.push("second"));
  fire();
  fire();
  expect(ran).toEqual(["third"]);
  expect(timer()).toBeUndefined();
});

test("a stopped agenda takes nothing more", () => {
  const { agenda, timer } = fixture();
  agenda.after(1, () => undefined);
  agenda.stop();
  agenda.after(1, () => undefined);
  expect([agenda.size, timer()]).toEqual([0, undefined]);
});
