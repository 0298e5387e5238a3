import fc from "fast-check";
import { expect, test } from "vitest";
import { drawRenewal } from "./rotation.ts";

test("lies between 40 % and 60 % of the life from receipt, for any life", () => {
  const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4_000_000_000 }),
      fc.integer({ min: 1, max: 40_000_000 }),
      unit,
      (at, life, r) => {
        const part = (drawRenewal(at, at + life, () => r) - at) / life;
        expect(part).toBeGreaterThan(0.399);
        expect(part).toBeLessThan(0.601);
      },
    ),
  );
});

test("is at once for what has expired", () => {
  expect(drawRenewal(1_000, 900, () => 0.5)).toBe(1_000);
});
