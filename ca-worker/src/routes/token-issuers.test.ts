import { SignetError } from "@signet/shared/errors";
import { expect, test } from "vitest";
import { madeIssuer } from "../../../test/support/made-issuer.ts";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { JwkSet } from "../authenticate/jwk-set.ts";
import { fixedKeys, type KeySource } from "../authenticate/key-source.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { tokenIssuers } from "./token-issuers.ts";

const numbers = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const more = { x5c: ["MII"], x5u: "https://elsewhere", note: "internal", key_ops: ["verify"] };
const rules = { audiences: ["ca"], algorithms: ["ES256" as const], maxTokenLifetimeSeconds: 3_600 };
const keysOf = (kid: string) => fixedKeys(JwkSet.parse({ keys: [{ ...numbers, kid, ...more }], note: "internal" }));
const down: KeySource = {
  ...keysOf("a"),
  published: () => Promise.reject(new SignetError("issuer-unavailable", "down")),
};

function routeOf(keys: Record<string, KeySource>, crypto = nodeCrypto) {
  const logger = makeLogger();
  const issuers = Object.entries(keys).map(([issuer, source]) => madeIssuer({ ...rules, issuer, keys: source }));
  const route = tokenIssuers({ issuers, crypto, logger });
  return { get: async () => route.request("/"), logger };
}

test("of a key its numbers and use are told, whatever else its issuer publishes", async () => {
  const { get } = routeOf({ one: keysOf("a") });
  expect(await (await get()).json()).toEqual({
    issuers: [
      {
        ...rules,
        issuer: "one",
        trustDomain: "cluster.local",
        accountPath: "/ns/{namespace}/sa/{serviceAccount}",
        keys: { keys: [{ ...numbers, kid: "a" }] },
      },
    ],
  });
});

test("an issuer whose keys cannot be had is left out and told of; the others are there", async () => {
  const { get, logger } = routeOf({ one: down, two: keysOf("b") });
  const response = await get();
  expect(response.status).toBe(200);
  expect(((await response.json()) as { issuers: unknown[] }).issuers).toMatchObject([{ issuer: "two" }]);
  expect(logger.lines.at(-1)).toMatchObject({ level: "debug", issuer: "one", code: "issuer-unavailable" });
});

test("another key makes another etag", async () => {
  const etags = await Promise.all(
    ["a", "b", "a"].map(async (kid) => (await routeOf({ one: keysOf(kid) }).get()).headers.get("etag")),
  );
  expect(etags[0]).not.toBe(etags[1]);
  expect(etags[0]).toBe(etags[2]);
});

test("the document is made once for the same keys, however often it is asked for", async () => {
  let hashes = 0;
  const crypto = {
    ...nodeCrypto,
    sha256: (data: Uint8Array<ArrayBuffer>) => {
      hashes++;
      return nodeCrypto.sha256(data);
    },
  };
  let current: KeySource = keysOf("a");
  const changing: KeySource = { ...current, published: () => current.published() };
  const { get } = routeOf({ one: keysOf("b"), two: changing }, crypto);
  const first = await get();
  const again = await get();
  expect(hashes).toBe(1);
  expect(again.headers.get("etag")).toBe(first.headers.get("etag"));
  expect(await again.text()).toBe(await first.text());
  for (const next of [keysOf("c"), down, keysOf("a")]) {
    current = next;
    await get();
  }
  expect(hashes).toBe(4);
  expect((await get()).headers.get("etag")).toBe(first.headers.get("etag"));
});
