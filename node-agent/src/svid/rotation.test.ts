import fc from "fast-check";
import { expect, test } from "vitest";
import { drawRenewal } from "./rotation.ts";

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const life = fc.integer({ min: 1, max: 40_000_000 });
const at = fc.integer({ min: 1, max: 4_000_000_000 });
const backdating = fc.integer({ min: 0, max: 600 });

test("lies between 40 % and 60 % of the life from receipt, for any life and back-dating", () => {
  fc.assert(
    fc.property(at, life, backdating, unit, (receivedAt, seconds, back, r) => {
      const times = { receivedAt, notBefore: receivedAt - back, notAfter: receivedAt + seconds };
      const part = (drawRenewal(times, () => r) - receivedAt) / seconds;
      expect(part).toBeGreaterThan(0.399);
      expect(part).toBeLessThan(0.601);
    }),
  );
});

test("comes before the end by any clock that is behind", () => {
  fc.assert(
    fc.property(at, life, life, unit, (notBefore, seconds, behind, r) => {
      const receivedAt = notBefore - behind;
      const renewAfter = drawRenewal({ receivedAt, notBefore, notAfter: notBefore + seconds }, () => r) - receivedAt;
      expect(renewAfter / seconds).toBeLessThan(0.601);
    }),
  );
});

test("is at once for what has expired", () => {
  expect(drawRenewal({ receivedAt: 1_000, notBefore: 100, notAfter: 900 }, () => 0.5)).toBe(1_000);
});
