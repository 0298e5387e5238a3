import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { openRateLimiter } from "./rate-limiter.ts";

const rate = { certificates: 10, perSeconds: 60 };

describe("a rate-limit binding as a limiter", () => {
  test("counts under the key", async () => {
    const keys: string[] = [];
    const env = { RATE: { limit: async ({ key }: { key: string }) => ({ success: keys.push(key) <= 1 }) } };
    const limiter = openRateLimiter(env, "RATE", rate, makeLogger());
    expect(await limiter?.admit("a")).toBeUndefined();
    expect(await limiter?.admit("b")).toBe(60);
    expect(keys).toEqual(["a", "b"]);
  });

  test("lets those who wait behind a period's worth of others wait for another period", async () => {
    const env = { RATE: { limit: async () => ({ success: false }) } };
    const limiter = openRateLimiter(env, "RATE", rate, makeLogger());
    expect(await Promise.all([0, 9, 10, 25].map((waiting) => limiter?.admit("a", waiting)))).toEqual([
      60, 60, 120, 180,
    ]);
  });

  test("lets requests through when it fails, and says so", async () => {
    const logger = makeLogger();
    const env = { RATE: { limit: () => Promise.reject(new Error("unavailable")) } };
    expect(await openRateLimiter(env, "RATE", rate, logger)?.admit("a")).toBeUndefined();
    expect(logger.lines).toMatchObject([{ level: "warn", event: "rate-limit", binding: "RATE" }]);
  });

  test("is none where there is no such binding", () => {
    expect(openRateLimiter({ RATE: "text" }, "RATE", rate, makeLogger())).toBeUndefined();
  });
});
