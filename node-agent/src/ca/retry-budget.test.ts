import fc from "fast-check";
import { expect, test } from "vitest";
import { RetryBudget } from "./retry-budget.ts";

function spend(budget: RetryBudget): number {
  let taken = 0;
  for (; budget.available && taken < 100; taken++) budget.take();
  return taken;
}

test("allows ten repeats at once, then one in a second, never more than ten saved up", () => {
  let now = 1_000;
  const budget = new RetryBudget(() => now);
  expect(spend(budget)).toBe(10);
  expect(budget.availableInSeconds).toBe(1);
  now = 1_000.5;
  expect(budget.available).toBe(false);
  now = 1_001;
  expect(spend(budget)).toBe(1);
  now = 1_011;
  expect(spend(budget)).toBe(10);
  now = 9_999;
  expect(spend(budget)).toBe(10);
});

test("gives one more for ten requests that repeat none, and gives back what led to an answer", () => {
  const budget = new RetryBudget(() => 0);
  spend(budget);
  for (let n = 0; n < 9; n++) budget.deposit();
  expect(budget.available).toBe(false);
  // Nine and then two tenths: sums of fractions may end just below a whole.
  budget.deposit();
  budget.deposit();
  expect(spend(budget)).toBe(1);
  budget.giveBack();
  expect(spend(budget)).toBe(1);
});

test("over any time, repeats are bounded by the time and by the other requests", () => {
  const steps = fc.array(fc.record({ seconds: fc.double({ min: 0, max: 5, noNaN: true }), deposits: fc.nat(20) }));
  fc.assert(
    fc.property(steps, (list) => {
      let now = 0;
      let repeats = 0;
      let requests = 0;
      const budget = new RetryBudget(() => now);
      for (const { seconds, deposits } of list) {
        now += seconds;
        for (let n = 0; n < deposits; n++) budget.deposit();
        requests += deposits;
        repeats += spend(budget);
      }
      expect(repeats).toBeLessThanOrEqual(10 + now + requests / 10 + 1e-6);
    }),
  );
});
