import { expect, test } from "vitest";
import { parseConfig } from "../config.ts";

const issuer = { issuer: "https://a", audiences: ["signet-ca"], keys: "discovery" };
const swapped = { ...issuer, issuer: "https://b", path: "/ns/{serviceAccount}/sa/{namespace}" };
const edge = { name: "edge.example.com", authority: { store: "env:EDGE_AUTHORITY" } };
const base = { trustDomain: "cluster.local", authority: { store: "env:AUTHORITY" } };
const parse = (more: object) => parseConfig(JSON.stringify({ ...base, ...more }), "ca.jsonc");

test.each([
  ["by default and by its path", [issuer, swapped]],
  ["whether the trust domain is written out or not", [{ ...issuer, trustDomain: "cluster.local" }, swapped]],
  [
    "with others between them",
    [issuer, { ...issuer, issuer: "https://c", path: "/c/{namespace}/{serviceAccount}" }, swapped],
  ],
])("no issuer gives the ID of another's account: %s", (_rule, issuers) => {
  const last = issuers.length - 1;
  expect(() => parse({ issuers })).toThrow(
    new RegExp(`\\n  - issuers\\.${last}\\.path: an account .* issuers\\.0 [^\\n]*$`),
  );
});

test("issuers of one path name the same accounts, and those of different trust domains may have any", () => {
  parse({ issuers: [issuer, { ...issuer, issuer: "https://b" }] });
  parse({ issuers: [swapped, { ...swapped, issuer: "https://c" }] });
  parse({ issuers: [issuer, { ...swapped, trustDomain: edge.name }], trustDomains: [edge] });
});

test("a path that is none has no other fault", () => {
  expect(() => parse({ issuers: [issuer, { ...swapped, path: "/ns" }] })).toThrow(
    /^[^\n]*\n {2}- issuers\.1\.path: [^\n]*$/,
  );
});
