import { expect, test } from "vitest";
import { backoffSeconds } from "./backoff.ts";

test.each([
  { failures: 1, most: 0.2 },
  { failures: 2, most: 0.4 },
  { failures: 8, most: 25.6 },
  { failures: 9, most: 30 },
  { failures: 1e9, most: 30 },
])("after $failures failures: from nothing up to $most s", ({ failures, most }) => {
  expect(backoffSeconds(failures, () => 0)).toBe(0);
  expect(backoffSeconds(failures, () => 1)).toBeCloseTo(most);
});

test("never undercuts what the CA asked for, up to five minutes", () => {
  expect(backoffSeconds(1, () => 0, 20)).toBe(20);
  expect(backoffSeconds(1, () => 0, 86_400)).toBe(300);
});
