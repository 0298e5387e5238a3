import { SignetError } from "@signet/shared/errors";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import { describe, expect, test } from "vitest";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { CachedReview } from "./token-review.ts";

const claims = {
  subject: "system:serviceaccount:foo:sleep",
  podUid: "pod",
  nodeUid: undefined,
} as ServiceAccountClaims;
const good = {
  authenticated: true,
  audiences: ["signet-ca"],
  user: { username: claims.subject, extra: { "authentication.kubernetes.io/pod-uid": ["pod"] } },
};
const refused = expect.objectContaining({ name: "SignetError", code: "token-not-accepted" });

function bench(answer: unknown = good, mayWait = true) {
  const state = { now: 1_000, answer, asked: [] as string[], gate: undefined as Promise<void> | undefined };
  const review = new CachedReview({
    audiences: ["signet-ca"],
    cacheSeconds: 10,
    mayWait,
    clock: () => state.now,
    crypto: nodeCrypto,
    review: async (token, audiences) => {
      expect(audiences).toEqual(["signet-ca"]);
      state.asked.push(token);
      await state.gate;
      if (state.answer instanceof Error) throw state.answer;
      return state.answer;
    },
  });
  return { state, check: (token: string) => review.check(token, claims) };
}

describe("a token that is asked about", () => {
  test("is not asked about again for the time of the cache", async () => {
    const { state, check } = bench();
    await check("a");
    state.now += 9.999;
    await check("a");
    expect(state.asked).toEqual(["a"]);
    state.now += 0.001;
    await check("a");
    expect(state.asked).toEqual(["a", "a"]);
  });

  test("does not answer for another that only begins like it", async () => {
    const { state, check } = bench();
    await check("a.b.c");
    state.answer = { authenticated: false };
    await expect(check("a.b.cc")).rejects.toEqual(refused);
  });

  test("dies with its pod as soon as the cache forgets it", async () => {
    const { state, check } = bench();
    await check("a");
    state.answer = { authenticated: false };
    await check("a");
    state.now += 10;
    await expect(check("a")).rejects.toEqual(refused);
  });

  test("is asked about once a second when it was refused, however often it comes", async () => {
    const { state, check } = bench({ authenticated: false });
    for (let n = 0; n < 5; n++) await expect(check("a")).rejects.toEqual(refused);
    expect(state.asked).toHaveLength(1);
    state.now += 1;
    state.answer = good;
    await check("a");
  });

  test("is neither accepted nor remembered when nobody can be asked", async () => {
    const { state, check } = bench(new TypeError("connection refused"));
    await expect(check("a")).rejects.toThrow("connection refused");
    state.answer = good;
    await check("a");
    state.answer = new TypeError("connection refused");
    state.now += 10;
    await expect(check("a")).rejects.toThrow("connection refused");
  });

  test("is forgotten for others: 4096 are kept, the oldest goes first", async () => {
    const { state, check } = bench();
    for (let n = 0; n < 4_097; n++) await check(`t${n}`);
    state.asked = [];
    await check("t1");
    expect(state.asked).toEqual([]);
    await check("t0");
    expect(state.asked).toEqual(["t0"]);
  });

  test("is asked about once for all who bring it at the same time, so that none takes the place of others", async () => {
    const { state, check } = bench();
    let answer = () => {};
    state.gate = new Promise((resolve) => {
      answer = resolve;
    });
    const many = Array.from({ length: 600 }, () => check("a"));
    const other = check("b");
    answer();
    await Promise.all([...many, other]);
    expect(state.asked).toEqual(["a", "b"]);
    // What one of them is told the others are told, but nobody after them.
    state.now += 10;
    state.answer = new SignetError("issuer-unavailable", "down");
    const failed = await Promise.allSettled([check("a"), check("a")]);
    expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(state.asked).toHaveLength(3);
    state.answer = good;
    await check("a");
    // One that never ends holds up nobody for long.
    state.now += 10;
    state.gate = new Promise(() => {});
    void check("a");
    state.gate = undefined;
    state.now += 10;
    await check("a");
  });

  test("is asked about by each where no request may wait for another's", async () => {
    const { state, check } = bench(good, false);
    await Promise.all([check("a"), check("a")]);
    expect(state.asked).toEqual(["a", "a"]);
  });

  test("has to come again where 512 reviews are under way, until those must be over", async () => {
    const { state, check } = bench();
    state.gate = new Promise(() => {});
    for (let n = 0; n < 512; n++) void check(`t${n}`);
    await expect(check("one more")).rejects.toMatchObject({ code: "issuer-unavailable", retryAfterSeconds: 1 });
    expect(state.asked).toHaveLength(512);
    state.gate = undefined;
    state.now += 10;
    await check("one more");
  });
});
