import { expect, test } from "vitest";
import { Agenda } from "./agenda.ts";

/** A clock that stands until it is moved, and one timer at most, as the agenda promises. */
function fixture() {
  let now = 1_000_000;
  let timer: { run: () => void; at: number; milliseconds: number } | undefined;
  const agenda = new Agenda({
    now: () => now,
    setTimer: (run, milliseconds) => {
      expect(timer).toBeUndefined();
      const mine = { run, at: now + milliseconds / 1_000, milliseconds };
      timer = mine;
      return () => {
        if (timer === mine) timer = undefined;
      };
    },
  });
  return {
    agenda,
    timer: () => timer,
    /** Moves wall-clock time only, as a suspended machine does. */
    sleepThrough: (seconds: number) => {
      now += seconds;
    },
    fire: () => {
      const { run, at } = timer ?? expect.fail("no timer");
      now = Math.max(now, at);
      timer = undefined;
      run();
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
  const { agenda, timer, fire, sleepThrough } = fixture();
  let ran = false;
  agenda.after(90 * 86_400, () => {
    ran = true;
  });
  expect(timer()?.milliseconds).toBeLessThanOrEqual(30_001);
  fire();
  expect(ran).toBe(false);
  sleepThrough(90 * 86_400);
  fire();
  expect(ran).toBe(true);
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
