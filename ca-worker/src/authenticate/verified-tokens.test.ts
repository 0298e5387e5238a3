import { describe, expect, test } from "vitest";
import { madeIssuer, madeKeys } from "../../../test/support/made-issuer.ts";
import type { KeySource } from "./key-source.ts";
import type { VerifiedToken } from "./service-account.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

function bench() {
  const state = { now: 1_000, generation: 1 };
  const keys: KeySource = {
    ...madeKeys(),
    get generation() {
      return state.generation;
    },
  };
  const verified: VerifiedToken = { issuer: madeIssuer({ keys }), claims: {} as VerifiedToken["claims"] };
  return { state, verified, tokens: new VerifiedTokens(() => state.now) };
}

describe("tokens that were verified lately", () => {
  test("are found by their text for 60 s", () => {
    const { state, verified, tokens } = bench();
    tokens.add("a", verified);
    state.now += 59.999;
    expect(tokens.get("a")).toBe(verified);
    expect(tokens.get("b")).toBeUndefined();
    state.now += 0.001;
    expect(tokens.get("a")).toBeUndefined();
  });

  test("getting one does not make it live longer", () => {
    const { state, verified, tokens } = bench();
    tokens.add("a", verified);
    for (let n = 0; n < 6; n++) {
      expect(tokens.get("a")).toBe(verified);
      state.now += 10;
    }
    expect(tokens.get("a")).toBeUndefined();
  });

  test("are forgotten when their issuer's keys change, for good", () => {
    const { state, verified, tokens } = bench();
    tokens.add("a", verified);
    state.generation = 2;
    expect(tokens.get("a")).toBeUndefined();
    state.generation = 1;
    expect(tokens.get("a")).toBeUndefined();
  });

  test("are 4096 at most; the oldest goes first", () => {
    const { verified, tokens } = bench();
    for (let n = 0; n < 4_096; n++) tokens.add(`t${n}`, verified);
    expect(tokens.get("t0")).toBe(verified);
    tokens.add("one more", verified);
    expect(tokens.get("t0")).toBeUndefined();
    expect(tokens.get("t1")).toBe(verified);
    expect(tokens.get("one more")).toBe(verified);
  });
});
