import { SpiffeId } from "@signet/shared/spiffe-id";
import { expect, test } from "vitest";
import { classifier } from "./names.ts";

const classify = classifier(
  { svid: "mine", bundle: "roots", allBundles: "roots-of-all" },
  SpiffeId.parse("spiffe://cluster.local/ns/foo/sa/sleep"),
);

test.each([
  ["mine", "svid"],
  ["spiffe://cluster.local/ns/foo/sa/sleep", "svid"],
  ["roots", "bundle"],
  ["roots-of-all", "bundle"],
  ["spiffe://cluster.local", "bundle"],
  // The usual names mean nothing where others are configured.
  ["default", undefined],
  ["ROOTCA", undefined],
  ["ALL", undefined],
  ["spiffe://cluster.local/", undefined],
  ["spiffe://cluster.local/ns/foo/sa/sleep/", undefined],
  ["spiffe://cluster.local/ns/foo/sa/other", undefined],
  ["spiffe://CLUSTER.local", undefined],
  ["spiffe://other.example", undefined],
  ["mine ", undefined],
  ["", undefined],
])("%j is %s", (name, kind) => {
  expect(classify(name)).toBe(kind);
});
