import { describeIssues } from "@signet/shared/faults";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { issuersSchema } from "./issuer.ts";

const issuer = { issuer: "https://kubernetes.default.svc", audiences: ["signet-ca"], keys: "file:jwks.json" };
const tokenReview = { url: "https://10.0.0.1:6443", token: "env:REVIEWER_TOKEN" };
const faultsOf = (value: object): string[] => {
  const result = v.safeParse(issuersSchema, [value]);
  return result.success ? [] : describeIssues(result.issues).map((fault) => fault.replace(/^0\./, ""));
};

describe("an issuer of the configuration", () => {
  test.each([
    { rule: "namespaces", value: { namespaces: ["foo", "team-*"] } },
    { rule: "another path", value: { path: "/cluster-1/{namespace}/{serviceAccount}" } },
    { rule: "no node binding, for clusters before 1.30", value: { nodeBinding: "off" } },
    { rule: "agents of its own", value: { nodeBinding: { agents: ["mesh/agent"] } } },
    { rule: "token reviews", value: { tokenReview } },
    {
      rule: "token reviews with a private certificate authority",
      value: { tokenReview: { ...tokenReview, caCertificate: "file:/ca.crt", cacheTtl: "30s" } },
    },
    {
      rule: "token reviews behind a path",
      value: { tokenReview: { ...tokenReview, url: "https://proxy/clusters/a/" } },
    },
    {
      rule: "token reviews of the API server on this machine",
      value: { tokenReview: { ...tokenReview, url: "http://127.0.0.1:8001" } },
    },
  ])("may have $rule", ({ value }) => {
    expect(faultsOf({ ...issuer, ...value })).toEqual([]);
    expect(faultsOf({ ...issuer, issuer: "in-cluster", keys: undefined, ...value })).toEqual([]);
  });

  test("asks anew about a token after 10 s unless told", () => {
    const [parsed] = v.parse(issuersSchema, [{ ...issuer, tokenReview }]);
    expect(parsed?.tokenReview).toEqual({ ...tokenReview, cacheTtl: 10 });
  });

  test.each<{ rule: string; value: object; fault: string }>([
    { rule: "no namespace", value: { namespaces: [] }, fault: "namespaces: leave it out to allow all namespaces" },
    { rule: "a namespace with a star inside", value: { namespaces: ["foo", "a*b"] }, fault: "namespaces.1: " },
    { rule: "an empty namespace", value: { namespaces: [""] }, fault: "namespaces.0: " },
    { rule: "namespaces as a text", value: { namespaces: "foo" }, fault: "namespaces: " },
    { rule: "a path without a placeholder", value: { path: "/ns/{namespace}" }, fault: "path: " },
    {
      rule: "a path with a placeholder in a segment",
      value: { path: "/ns-{namespace}/{serviceAccount}" },
      fault: "path: ",
    },
    { rule: "node binding on", value: { nodeBinding: "on" }, fault: 'nodeBinding: must be "off" or' },
    { rule: "node binding without agents", value: { nodeBinding: { agents: [] } }, fault: "nodeBinding.agents: " },
    {
      rule: "an agent without a namespace",
      value: { nodeBinding: { agents: ["a"] } },
      fault: "nodeBinding.agents.0: ",
    },
    {
      rule: "token reviews without a URL",
      value: { tokenReview: { token: "env:A" } },
      fault: "tokenReview.url: missing",
    },
    {
      rule: "token reviews without a token",
      value: { tokenReview: { url: "https://a" } },
      fault: "tokenReview.token: missing",
    },
    {
      rule: "a token in the configuration itself",
      value: { tokenReview: { ...tokenReview, token: "eyJh.e30.AA" } },
      fault: "tokenReview.token: must be",
    },
    ...[
      "http://10.0.0.1:6443",
      "10.0.0.1:6443",
      "https://user:hunter2@a",
      "https://a/?b",
      "https://a/#b",
      "file:///a",
    ].map((url) => ({
      rule: `${url} for an API server`,
      value: { tokenReview: { ...tokenReview, url } },
      fault: "tokenReview.url: must be the https URL",
    })),
    {
      rule: "a certificate in the configuration itself",
      value: { tokenReview: { ...tokenReview, caCertificate: "-----BEGIN CERTIFICATE-----" } },
      fault: "tokenReview.caCertificate: must be",
    },
    {
      rule: "a cache without time",
      value: { tokenReview: { ...tokenReview, cacheTtl: "0s" } },
      fault: "tokenReview.cacheTtl: must be from 1s",
    },
    {
      rule: "a cache of ten minutes",
      value: { tokenReview: { ...tokenReview, cacheTtl: "10m" } },
      fault: "tokenReview.cacheTtl: must be from 1s",
    },
    ...["http://a", "https://a/?b=c"].map((name) => ({
      rule: `discovery of ${name}`,
      value: { issuer: name, keys: "discovery" },
      fault: 'keys: "discovery" needs an https issuer',
    })),
    {
      rule: "an unknown key",
      value: { tokenReview: { ...tokenReview, audience: "a" } },
      fault: "tokenReview.audience: unknown key",
    },
  ])("may not have $rule", ({ value, fault }) => {
    const faults = faultsOf({ ...issuer, ...value });
    expect(faults).toEqual([expect.stringContaining(fault)]);
    expect(faults[0]).not.toMatch(/hunter2|eyJh/);
  });
});

test("256 issuers at most, which is what agents take", () => {
  const many = Array.from({ length: 257 }, (_, n) => ({ ...issuer, issuer: `https://issuer/${n}` }));
  expect(v.is(issuersSchema, many.slice(1))).toBe(true);
  const result = v.safeParse(issuersSchema, many);
  expect(describeIssues(result.issues ?? [])).toEqual([expect.stringContaining("over 256 issuers")]);
});
