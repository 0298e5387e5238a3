import { describe, expect, test } from "vitest";
import { parseConfig } from "../config.ts";

const issuer = { issuer: "https://a", audiences: ["signet-ca"], keys: "discovery" };
const edge = { name: "edge.example.com", authority: { store: "env:EDGE_AUTHORITY" } };
const base = { trustDomain: "cluster.local", authority: { store: "env:AUTHORITY" }, issuers: [issuer] };
const parse = (more: object) => parseConfig(JSON.stringify({ ...base, ...more }), "ca.jsonc");

function faultsOf(more: object): string[] {
  try {
    parse(more);
    return [];
  } catch (error) {
    return (error as Error).message
      .split("\n")
      .slice(1)
      .map((line) => line.replace(/^ {2}- /, ""));
  }
}

describe("trust domains in the configuration", () => {
  test("are as many as are named, each with its store; an issuer may speak for any of them", () => {
    const issuers = [issuer, { ...issuer, issuer: "https://b", trustDomain: edge.name }];
    const config = parse({ trustDomains: [edge], issuers });
    expect(config.trustDomains).toEqual([edge]);
    expect(config.issuers.map(({ trustDomain }) => trustDomain)).toEqual([undefined, edge.name]);
    expect(parse({ issuers: [{ ...issuer, trustDomain: "cluster.local" }] }).trustDomains).toEqual([]);
  });

  test.each<[string, object, RegExp[]]>([
    [
      "an issuer of one that is not served",
      { trustDomains: [edge], issuers: [{ ...issuer, trustDomain: "other.example.com" }] },
      [/^issuers\.0\.trustDomain: "other\.example\.com" is neither the CA's trustDomain nor the name of one/],
    ],
    [
      "the CA's own once more",
      { trustDomains: [{ ...edge, name: "cluster.local" }] },
      [/^trustDomains\.0\.name: .*stands twice/],
    ],
    [
      "one twice",
      { trustDomains: [edge, { ...edge, authority: { store: "env:OTHER" } }] },
      [/^trustDomains\.1\.name: .*stands twice/],
    ],
    [
      "the CA's own authority",
      { trustDomains: [{ ...edge, authority: base.authority }] },
      [/^trustDomains\.0\.authority\.store: each trust domain needs an authority of its own/],
    ],
    [
      "one authority for two",
      { trustDomains: [edge, { ...edge, name: "other" }] },
      [/^trustDomains\.1\.authority\.store: .*of its own/],
    ],
    ["no name", { trustDomains: [{ authority: edge.authority }] }, [/^trustDomains\.0\.name: missing/]],
    ["a name that is none", { trustDomains: [{ ...edge, name: "Edge" }] }, [/^trustDomains\.0\.name: .*a-z/]],
    ["no authority", { trustDomains: [{ name: "edge" }] }, [/^trustDomains\.0\.authority: missing/]],
    ["an unknown member", { trustDomains: [{ ...edge, roots: [] }] }, [/^trustDomains\.0\.roots: unknown key/]],
    [
      "what cannot be told apart, beside a fault of quite another kind",
      { trustDomains: [edge, edge], leaf: { defaultTtl: "never" } },
      [/^leaf\.defaultTtl/, /^trustDomains\.1\.name/, /^trustDomains\.1\.authority\.store/],
    ],
  ])("refuse %s", (_rule, more, faults) => {
    const found = faultsOf(more);
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]).toMatch(fault);
  });
});
