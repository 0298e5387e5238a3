import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryRateLimiter } from "./memory.ts";

function limiterOf(certificates: number, perSeconds: number) {
  const state = { now: 1_000 };
  return { state, limiter: new MemoryRateLimiter({ certificates, perSeconds }, () => state.now) };
}

describe("a rate in memory", () => {
  test("admits its whole number at once, and then one after the other as time goes by", () => {
    const { state, limiter } = limiterOf(3, 60);
    expect([1, 2, 3, 4].map(() => limiter.admit("a"))).toEqual([undefined, undefined, undefined, 20]);
    state.now += 19;
    expect(limiter.admit("a")).toBe(1);
    state.now += 1;
    expect(limiter.admit("a")).toBeUndefined();
    expect(limiter.admit("a")).toBe(20);
    state.now += 60;
    expect([1, 2, 3, 4].map(() => limiter.admit("a"))).toEqual([undefined, undefined, undefined, 20]);
  });

  test("is one for each key", () => {
    const { limiter } = limiterOf(1, 10);
    expect(["a", "a", "b", "b"].map((key) => limiter.admit(key))).toEqual([undefined, 10, undefined, 10]);
  });

  test("lets who waits behind others wait longer", () => {
    const { limiter } = limiterOf(1, 10);
    expect([0, 0, 1, 2].map((waiting) => limiter.admit("a", waiting))).toEqual([undefined, 10, 20, 30]);
  });

  test("admits the last of a burst whose share of the time is no round number", () => {
    const { limiter } = limiterOf(7, 1);
    expect(Array.from({ length: 8 }, () => limiter.admit("a")).map((wait) => wait ?? 0)).toEqual([
      ...Array(7).fill(0),
      1,
    ]);
  });

  test("holds nobody longer than a period when the clock is set back", () => {
    const { state, limiter } = limiterOf(1, 10);
    limiter.admit("a");
    state.now -= 100_000;
    expect(limiter.admit("a")).toBe(10);
    state.now += 10;
    expect(limiter.admit("a")).toBeUndefined();
  });

  test("keeps what it says: after the time told, and not before, the same is admitted", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 120 }),
        fc.array(fc.double({ min: 0, max: 40, noNaN: true })),
        (certificates, perSeconds, pauses) => {
          const { state, limiter } = limiterOf(certificates, perSeconds);
          for (const pause of pauses) {
            state.now += pause;
            const wait = limiter.admit("a");
            if (wait === undefined) continue;
            if (wait > 1) {
              state.now += wait - 1.001;
              expect(limiter.admit("a")).toBeDefined();
              state.now += 1.001;
            } else state.now += wait;
            expect(limiter.admit("a")).toBeUndefined();
          }
        },
      ),
    );
  });

  test("never admits more than the burst and what time has paid for", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { maxLength: 100 }),
        (certificates, pauses) => {
          const { state, limiter } = limiterOf(certificates, 10);
          let admitted = 0;
          for (const pause of pauses) {
            state.now += pause;
            if (limiter.admit("a") === undefined) admitted++;
            expect(admitted).toBeLessThanOrEqual(certificates + ((state.now - 1_000) * certificates) / 10 + 1e-3);
          }
        },
      ),
    );
  });
});

describe("the memory of a rate", () => {
  test("holds no more keys than it may, and forgets the one that was used longest ago", () => {
    const { limiter } = limiterOf(1, 10);
    for (let n = 0; n <= 16_384; n++) limiter.admit(`${n}`);
    expect(limiter.size).toBe(16_384);
    expect(["16384", "2", "1"].map((key) => limiter.admit(key))).toEqual([10, 10, 10]);
    expect(limiter.admit("0")).toBeUndefined();
  });

  test("lets go of keys that owe nothing any more, under a flood of new ones", () => {
    const { state, limiter } = limiterOf(1, 10);
    for (let n = 0; n < 1_000; n++) limiter.admit(`old-${n}`);
    expect(limiter.size).toBe(1_000);
    state.now += 11;
    for (let n = 0; n < 1_000; n++) limiter.admit(`new-${n}`);
    expect(limiter.size).toBe(1_000);
  });
});
