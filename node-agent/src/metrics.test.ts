import { expect, test } from "vitest";
import { Histogram } from "./metrics.ts";

test("a histogram counts a value in every bucket whose bound it does not exceed", () => {
  const histogram = new Histogram([1, 2, 4]);
  for (const value of [0.5, 1, 1.5, 4, 5]) histogram.observe(value);
  expect(histogram).toMatchObject({ buckets: [2, 3, 4], count: 5, sum: 12 });
});
