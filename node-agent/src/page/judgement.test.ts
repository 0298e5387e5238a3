import { describe, expect, test } from "vitest";
import type { WorkloadView } from "../workload-view.ts";
import { judge, matches, type Order, orders } from "./script/judgement.ts";

const received = Date.parse("2026-01-01T00:00:00Z");
const at = (minutes: number) => received + minutes * 60_000;
const iso = (minutes: number) => new Date(at(minutes)).toISOString();

const workload = (parts: Partial<WorkloadView> = {}): WorkloadView => ({
  spiffeId: "spiffe://cluster.local/ns/shop/sa/checkout",
  podName: "checkout-9",
  podUid: "uid-9",
  namespace: "shop",
  serviceAccount: "checkout",
  state: "held",
  serialNumber: "0a",
  notBefore: iso(-1),
  notAfter: iso(60),
  renewAt: iso(30),
  lastIssuedAt: iso(0),
  issuedCount: 1,
  streams: 2,
  tokenExpiresAt: iso(60),
  lastError: null,
  lastErrorAt: null,
  nextTryAt: null,
  ...parts,
});

const lastError = { code: "ca-unreachable", message: "connect ECONNREFUSED" } as const;

describe("what the page makes of a workload", () => {
  test.each([
    { minute: 0, parts: {}, state: "Valid", mood: "good", attention: false },
    { minute: 30, parts: {}, state: "Renewing", mood: "good", attention: false },
    { minute: 31, parts: {}, state: "Renewal overdue", mood: "warn", attention: true },
    { minute: 31, parts: { streams: 0 }, state: "No streams", mood: "quiet", attention: false },
    { minute: 31, parts: { lastError }, state: "Renewal fails", mood: "warn", attention: true },
    { minute: 31, parts: { lastError, state: "refused" }, state: "Renewal refused", mood: "warn", attention: true },
    { minute: 31, parts: { state: "tokenless" }, state: "Waits for a token", mood: "warn", attention: true },
    { minute: 60, parts: { lastError }, state: "Expired", mood: "bad", attention: true },
    { minute: 60, parts: { streams: 0 }, state: "Expired", mood: "quiet", attention: false },
  ] as const)("$state after $minute minutes", ({ attention, minute, mood, parts, state }) => {
    expect(judge(workload(parts), at(minute))).toMatchObject({ state, mood, needsAttention: attention });
  });

  test("is drawn on the life of its certificate, which it never leaves", () => {
    const drawn = (minute: number) => judge(workload(), at(minute)).elapsed;
    expect([drawn(-5), drawn(0), drawn(15), drawn(60), drawn(90)]).toEqual([0, 0, 0.25, 1, 1]);
    expect(judge(workload(), at(0)).due).toBe(0.5);
    // A clock that was far ahead has made a certificate with no life left at all.
    expect(judge(workload({ notAfter: iso(0) }), at(0)).elapsed).toBe(0);
  });
});

test.each([
  { words: "", filter: "all", found: true },
  { words: "CHECKOUT shop", filter: "all", found: true },
  { words: "  uid-9  ns/shop ", filter: "all", found: true },
  { words: "cannot reached", filter: "all", found: true },
  { words: "checkout payments", filter: "all", found: false },
  { words: "", filter: "attention", found: true },
  { words: "", filter: "idle", found: false },
] as const)("a search for '$words' among $filter: $found", ({ filter, found, words }) => {
  const failing = workload({ lastError });
  expect(matches(failing, judge(failing, at(10)), filter, words)).toBe(found);
});

test.each([
  { order: "name", names: ["a-2", "a-10", "b-1"] },
  { order: "expiry", names: ["b-1", "a-10", "a-2"] },
  { order: "renewed", names: ["a-2", "a-10", "b-1"] },
  { order: "attention", names: ["a-10", "a-2", "b-1"] },
] as const satisfies readonly { order: Order; names: readonly string[] }[])("ordered by $order", ({ order, names }) => {
  const all = [
    workload({ podName: "a-10", notAfter: iso(50), lastIssuedAt: iso(1), lastError }),
    workload({ podName: "b-1", notAfter: iso(40), lastIssuedAt: iso(0) }),
    workload({ podName: "a-2", notAfter: iso(60), lastIssuedAt: iso(2) }),
  ].map((one) => ({ workload: one, judgement: judge(one, at(5)) }));
  expect(all.sort(orders[order]).map((one) => one.workload.podName)).toEqual(names);
});
