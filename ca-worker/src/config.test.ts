import { generateKeyPairSync } from "node:crypto";
import { SignetError } from "@signet/shared/errors";
import { tokenAlgorithms } from "@signet/shared/token-rules";
import { describe, expect, test } from "vitest";
import { parseConfig } from "./config.ts";

const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
const issuer = {
  issuer: "https://kubernetes.default.svc.cluster.local",
  audiences: ["signet-ca"],
  keys: "file:jwks.json",
};
const minimal = { trustDomain: "cluster.local", authority: { store: "file:authority.json" }, issuers: [issuer] };
const withIssuer = (changes: object) => ({ ...minimal, issuers: [{ ...issuer, ...changes }] });
const parse = (value: unknown) => parseConfig(JSON.stringify(value), "ca.jsonc");

/** The lines of what is told, without the first, which names the source. */
function faultsOf(text: string): string[] {
  try {
    parseConfig(text, "ca.jsonc");
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(SignetError);
    const { code, message } = error as SignetError;
    const [title, ...lines] = message.split("\n");
    expect({ code, title }).toEqual({ code: "config-invalid", title: expect.stringContaining("ca.jsonc") });
    return lines.map((line) => line.replace(/^ {2}- /, ""));
  }
}
/** The keys that are named. */
const faultKeys = (value: unknown) => faultsOf(JSON.stringify(value)).map((line) => line.split(":")[0]);

describe("configuration of the CA", () => {
  test("a key that stands twice hides no other fault", () => {
    const text = JSON.stringify(minimal).replace("{", '{ "leaf": {}, "leaf": {}, "laef": {}, ');
    expect(faultsOf(text)).toEqual([expect.stringContaining('"leaf" stands twice'), "laef: unknown key"]);
  });

  test("what need not be said", () => {
    expect(parse(minimal)).toEqual({
      ...minimal,
      issuers: [
        {
          ...issuer,
          algorithms: [...tokenAlgorithms],
          maxTokenLifetime: 86_400,
          path: "/ns/{namespace}/sa/{serviceAccount}",
        },
      ],
      nodeBinding: { agents: ["signet-system/signet-node-agent"] },
      leaf: { defaultTtl: 3_600, maxTtl: 86_400, keys: ["p256", "p384"] },
      trustBundle: { refreshHint: 300 },
      trustDomains: [],
      policy: { default: "allow", rules: [], denyLists: [] },
      rateLimits: {},
      audit: { sinks: [{ type: "log" }] },
    });
  });

  test("the example of the design, with its comments and a trailing comma", () => {
    const text = `{
      "trustDomain": "cluster.local",
      "authority": { "store": "file:./.signet/authority.json" },          // made on first start in development
      /* one for each cluster */
      "issuers": [{
        "issuer": "https://kubernetes.default.svc.cluster.local",
        "audiences": ["signet-ca"],
        "keys": "file:./jwks.json"                                        // or an https URL, "discovery", or inline
      }],
      "nodeBinding": { "agents": ["signet-system/signet-node-agent"] },   // or "off", said explicitly
      "leaf": { "defaultTtl": "1h", "maxTtl": "24h" },
    }`;
    expect(parseConfig(text, "ca.jsonc").leaf).toEqual({ defaultTtl: 3_600, maxTtl: 86_400, keys: ["p256", "p384"] });
  });

  test.each([
    { rule: "keys by discovery", value: withIssuer({ keys: "discovery" }) },
    { rule: "keys at an https URL", value: withIssuer({ keys: "https://issuer.example.com/jwks" }) },
    { rule: "keys over http from this machine", value: withIssuer({ keys: "http://127.0.0.1:8080/jwks" }) },
    { rule: "a JWK Set", value: withIssuer({ keys: { keys: [jwk] } }) },
    { rule: "a store in the environment", value: { ...minimal, authority: { store: "env:SIGNET_AUTHORITY" } } },
    {
      rule: "a store in AWS Secrets Manager",
      value: { ...minimal, authority: { store: "aws-secretsmanager:signet/authority" } },
    },
    {
      rule: "a store in a Secret",
      value: { ...minimal, authority: { store: "kubernetes:signet-system/signet-authority" } },
    },
    {
      rule: "the cluster's own issuer",
      value: withIssuer({
        issuer: "in-cluster",
        keys: undefined,
        trustDomain: "cluster.local",
        maxTokenLifetime: "1h",
      }),
    },
    { rule: "node binding off", value: { ...minimal, nodeBinding: "off" } },
    {
      rule: "two issuers",
      value: { ...minimal, issuers: [issuer, { ...issuer, issuer: "https://other" }] },
    },
    { rule: "every kind of key", value: { ...minimal, leaf: { keys: ["p256", "p384", "ed25519", "rsa"] } } },
    { rule: "a default life that is the longest", value: { ...minimal, leaf: { defaultTtl: "24h", maxTtl: "1d" } } },
    {
      rule: "an issuer by discovery on this machine",
      value: withIssuer({ issuer: "http://localhost:1/id", keys: "discovery" }),
    },
    {
      rule: "an issuer that is no URL, with keys of its own",
      value: withIssuer({ issuer: "kubernetes/serviceaccount" }),
    },
  ])("take $rule", ({ value }) => {
    expect(faultKeys(value)).toEqual([]);
  });

  test.each<{ rule: string; value: unknown; keys: string[] }>([
    { rule: "nothing but an object", value: {}, keys: ["trustDomain", "authority", "issuers"] },
    { rule: "no object", value: "config", keys: ["the document"] },
    { rule: "an unknown key", value: { ...minimal, leafs: {} }, keys: ["leafs"] },
    { rule: "an unknown key of the leaf", value: { ...minimal, leaf: { ttl: "1h" } }, keys: ["leaf.ttl"] },
    { rule: "an unknown key of an issuer", value: withIssuer({ audience: "a" }), keys: ["issuers.0.audience"] },
    {
      rule: "an unknown key of node binding",
      value: { ...minimal, nodeBinding: { agents: ["a/b"], of: 1 } },
      keys: ["nodeBinding.of"],
    },
    {
      rule: "an unknown key of the authority",
      value: { ...minimal, authority: { store: "file:a", kms: 1 } },
      keys: ["authority.kms"],
    },
    {
      rule: "a trust domain in upper case",
      value: { ...minimal, trustDomain: "Cluster.local" },
      keys: ["trustDomain"],
    },
    {
      rule: "a trust domain with its scheme",
      value: { ...minimal, trustDomain: "spiffe://td" },
      keys: ["trustDomain"],
    },
    { rule: "an issuer's trust domain", value: withIssuer({ trustDomain: "" }), keys: ["issuers.0.trustDomain"] },
    {
      rule: "a store that nobody knows",
      value: { ...minimal, authority: { store: "s3:a" } },
      keys: ["authority.store"],
    },
    {
      rule: "a store in Secrets Manager that is no secret's name",
      value: { ...minimal, authority: { store: "aws-secretsmanager:a b" } },
      keys: ["authority.store"],
    },
    { rule: "a store without a path", value: { ...minimal, authority: { store: "file:" } }, keys: ["authority.store"] },
    {
      rule: "a variable that cannot be one",
      value: { ...minimal, authority: { store: "env:A-B" } },
      keys: ["authority.store"],
    },
    ...["", "a", "a/", "/a", "A/b", "a/b/c", "a/../b", "a/b?x", "a/b\n", "a.b/c", `a/${"b".repeat(241)}`].map(
      (secret) => ({
        rule: `a Secret called ${JSON.stringify(secret.slice(0, 20))}`,
        value: { ...minimal, authority: { store: `kubernetes:${secret}` } },
        keys: ["authority.store"],
      }),
    ),
    ...["discovery", { keys: [jwk] }, null, "file:jwks.json"].map((keys) => ({
      rule: `the cluster's own issuer with keys: ${JSON.stringify(keys).slice(0, 20)}`,
      value: withIssuer({ issuer: "in-cluster", keys }),
      keys: ["issuers.0.keys"],
    })),
    {
      rule: "the cluster's own issuer without audiences",
      value: withIssuer({ issuer: "in-cluster", keys: undefined, audiences: [] }),
      keys: ["issuers.0.audiences"],
    },
    {
      rule: "the cluster's own issuer twice",
      value: { ...minimal, issuers: [1, 2].map(() => ({ issuer: "in-cluster", audiences: ["signet-ca"] })) },
      keys: ["issuers.1.issuer"],
    },
    {
      rule: "an issuer that is nearly in-cluster",
      value: withIssuer({ issuer: "in-cluster ", keys: undefined }),
      keys: ["issuers.0.keys"],
    },
    { rule: "an issuer that is no object", value: { ...minimal, issuers: ["in-cluster"] }, keys: ["issuers.0"] },
    { rule: "no issuer", value: { ...minimal, issuers: [] }, keys: ["issuers"] },
    { rule: "an issuer twice", value: { ...minimal, issuers: [issuer, issuer] }, keys: ["issuers.1.issuer"] },
    { rule: "an empty issuer", value: withIssuer({ issuer: "" }), keys: ["issuers.0.issuer"] },
    {
      rule: "no audience: it is mandatory",
      value: withIssuer({ audiences: undefined }),
      keys: ["issuers.0.audiences"],
    },
    { rule: "an empty list of audiences", value: withIssuer({ audiences: [] }), keys: ["issuers.0.audiences"] },
    { rule: "an empty audience", value: withIssuer({ audiences: [""] }), keys: ["issuers.0.audiences.0"] },
    { rule: "no keys", value: withIssuer({ keys: undefined }), keys: ["issuers.0.keys"] },
    {
      rule: "keys over http from elsewhere",
      value: withIssuer({ keys: "http://issuer.example.com/jwks" }),
      keys: ["issuers.0.keys"],
    },
    { rule: "keys that are another word", value: withIssuer({ keys: "discover" }), keys: ["issuers.0.keys"] },
    { rule: "keys in a file without a path", value: withIssuer({ keys: "file:" }), keys: ["issuers.0.keys"] },
    { rule: "keys that are a number", value: withIssuer({ keys: 1 }), keys: ["issuers.0.keys"] },
    { rule: "an empty JWK Set", value: withIssuer({ keys: { keys: [] } }), keys: ["issuers.0.keys"] },
    { rule: "a private key", value: withIssuer({ keys: { keys: [{ ...jwk, d: "AQ" }] } }), keys: ["issuers.0.keys"] },
    {
      rule: "a symmetric key",
      value: withIssuer({ keys: { keys: [{ kty: "oct", k: "AQ" }] } }),
      keys: ["issuers.0.keys"],
    },
    {
      rule: "discovery over http",
      value: withIssuer({ issuer: "http://issuer.example.com", keys: "discovery" }),
      keys: ["issuers.0.keys"],
    },
    {
      rule: "discovery of what is no URL",
      value: withIssuer({ issuer: "kubernetes/serviceaccount", keys: "discovery" }),
      keys: ["issuers.0.keys"],
    },
    {
      rule: "an algorithm with a shared secret",
      value: withIssuer({ algorithms: ["HS256"] }),
      keys: ["issuers.0.algorithms.0"],
    },
    {
      rule: "the algorithm none",
      value: withIssuer({ algorithms: ["RS256", "none"] }),
      keys: ["issuers.0.algorithms.1"],
    },
    { rule: "no algorithm", value: withIssuer({ algorithms: [] }), keys: ["issuers.0.algorithms"] },
    {
      rule: "a token life of seconds",
      value: withIssuer({ maxTokenLifetime: "59s" }),
      keys: ["issuers.0.maxTokenLifetime"],
    },
    {
      rule: "a token life of years",
      value: withIssuer({ maxTokenLifetime: "367d" }),
      keys: ["issuers.0.maxTokenLifetime"],
    },
    { rule: "node binding by another word", value: { ...minimal, nodeBinding: "none" }, keys: ["nodeBinding"] },
    { rule: "node binding false", value: { ...minimal, nodeBinding: false }, keys: ["nodeBinding"] },
    {
      rule: "node binding without agents",
      value: { ...minimal, nodeBinding: { agents: [] } },
      keys: ["nodeBinding.agents"],
    },
    {
      rule: "an agent without its namespace",
      value: { ...minimal, nodeBinding: { agents: ["agent"] } },
      keys: ["nodeBinding.agents.0"],
    },
    { rule: "a duration that is none", value: { ...minimal, leaf: { maxTtl: "1 day" } }, keys: ["leaf.maxTtl"] },
    { rule: "a duration that is a number", value: { ...minimal, leaf: { maxTtl: 3_600 } }, keys: ["leaf.maxTtl"] },
    { rule: "a life of 4 s", value: { ...minimal, leaf: { defaultTtl: "4s" } }, keys: ["leaf.defaultTtl"] },
    { rule: "a life of 91 days", value: { ...minimal, leaf: { maxTtl: "91d" } }, keys: ["leaf.maxTtl"] },
    {
      rule: "a default life over the longest",
      value: { ...minimal, leaf: { defaultTtl: "2h", maxTtl: "1h" } },
      keys: ["leaf.defaultTtl"],
    },
    { rule: "a kind of key that nobody knows", value: { ...minimal, leaf: { keys: ["p521"] } }, keys: ["leaf.keys.0"] },
    { rule: "no kind of key", value: { ...minimal, leaf: { keys: [] } }, keys: ["leaf.keys"] },
    {
      rule: "a refresh hint of nothing",
      value: { ...minimal, trustBundle: { refreshHint: "0s" } },
      keys: ["trustBundle.refreshHint"],
    },
    {
      rule: "all of it at once",
      value: {
        trustDomain: "TD",
        authority: {},
        issuers: [{ ...issuer, audiences: [], keys: "x" }, { issuer: "" }],
        nodeBinding: { agents: ["x"] },
        leaf: { maxTtl: "x" },
        more: 1,
      },
      keys: [
        "trustDomain",
        "authority.store",
        "issuers.0.audiences",
        "issuers.0.keys",
        "issuers.1.issuer",
        "issuers.1.audiences",
        "issuers.1.keys",
        "nodeBinding.agents.0",
        "leaf.maxTtl",
        "more",
      ],
    },
  ])("name the keys of $rule", ({ value, keys }) => {
    expect(faultKeys(value).sort()).toEqual([...keys].sort());
  });

  test.each([
    { rule: "nothing", text: "", first: /empty/ },
    { rule: "white space", text: " \n", first: /empty/ },
    { rule: "a comma too few", text: '{\n  "trustDomain": "a"\n  "authority": {}\n}', first: /^line 3, column 3: / },
    { rule: "no end", text: '{\n  "trustDomain": "a",\n\n', first: /^line 4, column 1: / },
    { rule: "YAML", text: "trustDomain: a\n", first: /^line 1, column 1: / },
  ])("tell the line of a syntax error: $rule", ({ text, first }) => {
    expect(faultsOf(text)[0]).toMatch(first);
  });

  test("what is told of a wrong key set holds nothing of the key", () => {
    const secret = "c2VjcmV0LXNlY3JldA";
    const text = JSON.stringify(
      withIssuer({
        keys: {
          keys: [
            { ...jwk, d: secret },
            { kty: "oct", k: secret },
          ],
        },
      }),
    );
    expect(faultsOf(text).join("\n")).not.toContain(secret);
  });
});
