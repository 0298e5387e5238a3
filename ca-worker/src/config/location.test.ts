import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { kvEntryOf, storeLocation } from "./location.ts";

describe("an entry of a KV namespace as a location", () => {
  test.each([
    { location: "kv:SIGNET_KV/deny-list.json", entry: { binding: "SIGNET_KV", key: "deny-list.json" } },
    { location: "kv:_k1/a/b-c", entry: { binding: "_k1", key: "a/b-c" } },
    { location: `kv:A/${"k".repeat(512)}`, entry: { binding: "A", key: "k".repeat(512) } },
  ])("$location", ({ location, entry }) => {
    expect(kvEntryOf(location)).toEqual(entry);
    expect(v.is(storeLocation, location)).toBe(true);
  });

  test.each([
    "kv:A",
    "kv:A/",
    "kv:/k",
    "kv:1A/k",
    "kv:A-B/k",
    "kv:A/k\n",
    "kv:A/k k",
    `kv:A/${"k".repeat(513)}`,
    "KV:A/k",
  ])("%j is none", (location) => {
    expect(kvEntryOf(location)).toBeUndefined();
    expect(v.is(storeLocation, location)).toBe(false);
  });
});
