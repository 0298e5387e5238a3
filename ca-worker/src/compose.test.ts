import { describe, expect, test } from "vitest";
import { makeLogger } from "../../test/support/test-logger.ts";
import { type ClusterIssuer, compose, type Platform } from "./compose.ts";
import { parseConfig } from "./config.ts";
import { webCrypto } from "./webcrypto.ts";

const config = (...issuers: object[]) =>
  parseConfig(
    JSON.stringify({
      trustDomain: "cluster.local",
      authority: { store: "env:A" },
      issuers: issuers.map((issuer) => ({ audiences: ["signet-ca"], ...issuer })),
    }),
    "ca.jsonc",
  );
const platform = (clusterIssuer?: ClusterIssuer): Platform => ({
  clock: () => 1_000,
  setTimer: () => () => {},
  fetch: async () => new Response("{}", { status: 500 }),
  logger: makeLogger(),
  crypto: webCrypto,
  open: (location) => (location === "env:A" ? { read: () => "" } : undefined),
  clusterIssuer,
});
const cluster: ClusterIssuer = { name: "https://kubernetes.default.svc", load: async () => ({ keys: [] }) };
const fault = (text: string) =>
  expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(text) });

describe("the issuer in-cluster", () => {
  test("is known under the name that the cluster gives, and under no other", () => {
    const { issuers } = compose(config({ issuer: "in-cluster" }), "ca.jsonc", platform(cluster));
    expect(issuers.map(({ issuer }) => issuer)).toEqual(["https://kubernetes.default.svc"]);
  });

  test("is a fault of the configuration where the platform has none, as on Workers", () => {
    const both = config({ issuer: "in-cluster" }, { issuer: "https://other", keys: "file:jwks.json" });
    expect(() => compose(both, "ca.jsonc", platform())).toThrow(fault('issuers.0.issuer: "in-cluster"'));
    expect(() => compose(both, "ca.jsonc", platform())).toThrow(fault("issuers.1.keys"));
  });

  test("may not stand beside the same issuer by name: which keys count would be chance", () => {
    const twice = config({ issuer: cluster.name, keys: "discovery" }, { issuer: "in-cluster" });
    expect(() => compose(twice, "ca.jsonc", platform(cluster))).toThrow(fault("stands twice"));
  });
});

test("a store of a kind that the platform has not is a fault of the configuration", () => {
  const secret = { ...config({ issuer: "https://a", keys: "discovery" }), authority: { store: "kubernetes:a/b" } };
  expect(() => compose(secret, "ca.jsonc", platform())).toThrow(fault('authority.store: "kubernetes:a/b"'));
});
