import { expect, test } from "vitest";
import { fromNow, iso, span } from "./duration.ts";

test.each([
  [0, "0s"],
  [0.9, "0s"],
  [59.9, "59s"],
  [60, "1m"],
  [3_599, "59m 59s"],
  [3_600, "1h"],
  // Two units at most, and none in between is skipped for a smaller one.
  [3_605, "1h"],
  [90_061, "1d 1h"],
  [86_400 * 3 + 59, "3d"],
])("%d seconds are %s", (seconds, text) => {
  expect(span(seconds)).toBe(text);
});

test("a moment is seen from now", () => {
  expect(fromNow(1_060, 1_000)).toBe("in 1m");
  expect(fromNow(940, 1_000)).toBe("1m ago");
  expect(fromNow(1_000.4, 1_000)).toBe("now");
});

test("times are written to the second", () => {
  expect(iso(1_795_622_400.75)).toBe("2026-11-25T16:00:00Z");
  expect(iso(Number.NaN)).toBe("?");
});
