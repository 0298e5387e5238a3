import { generateKeyPairSync } from "node:crypto";
import type { TokenAlgorithm } from "@signet/shared/token-rules";
import { describe, expect, test } from "vitest";
import { JwkSet } from "./jwk-set.ts";

const invalid = expect.objectContaining({ name: "SignetError", code: "config-invalid" });
const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
const rsa = (modulusLength: number) => generateKeyPairSync("rsa", { modulusLength });
const publicJwk = (pair: { publicKey: { export(options: { format: "jwk" }): object } }, more: object = {}) => ({
  ...pair.publicKey.export({ format: "jwk" }),
  ...more,
});
const rsaPair = rsa(2_048);
const rsaJwk = publicJwk(rsaPair);
const p256Jwk = publicJwk(ec("P-256"));
const ed25519Jwk = publicJwk(generateKeyPairSync("ed25519"));

describe("a JWK Set of an issuer", () => {
  test.each([
    { rule: "no object", document: "keys" },
    { rule: "null", document: null },
    { rule: "a list of keys alone", document: [rsaJwk] },
    { rule: "no keys member", document: {} },
    { rule: "keys that are no list", document: { keys: rsaJwk } },
    { rule: "no key", document: { keys: [] } },
    { rule: "a key that is no object", document: { keys: ["key"] } },
    { rule: "a key without kty", document: { keys: [{ ...rsaJwk, kty: undefined }] } },
    { rule: "a symmetric key", document: { keys: [rsaJwk, { kty: "oct", k: "c2VjcmV0" }] } },
    { rule: "a symmetric key that calls itself RSA", document: { keys: [{ ...rsaJwk, k: "c2VjcmV0" }] } },
    { rule: "a private RSA key", document: { keys: [rsaPair.privateKey.export({ format: "jwk" })] } },
    { rule: "a private EC key", document: { keys: [ec("P-256").privateKey.export({ format: "jwk" })] } },
    {
      rule: "a private Ed25519 key",
      document: { keys: [generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })] },
    },
    { rule: "an RSA key of 1024 bits", document: { keys: [publicJwk(rsa(1_024))] } },
    { rule: "an RSA key of 2040 bits", document: { keys: [publicJwk(rsa(2_040))] } },
    { rule: "an RSA key without its modulus", document: { keys: [{ kty: "RSA", e: "AQAB" }] } },
    { rule: "257 keys", document: { keys: Array.from({ length: 257 }, () => rsaJwk) } },
    { rule: "an empty kid", document: { keys: [{ ...rsaJwk, kid: "" }] } },
    { rule: "a kid that is no string", document: { keys: [{ ...rsaJwk, kid: 1 }] } },
    { rule: "keys for encryption only", document: { keys: [{ ...rsaJwk, use: "enc" }] } },
  ])("refuse $rule", ({ document }) => {
    expect(() => JwkSet.parse(document)).toThrow(invalid);
  });

  test("unknown members do not matter", async () => {
    const keys = JwkSet.parse({ keys: [{ ...rsaJwk, kid: "a", x5t: "x", more: {} }], more: 1 });
    expect(await keys.find("a", "RS256")).toBeDefined();
  });

  test("keys of a kind that is not known yet are left out", async () => {
    const keys = JwkSet.parse({
      keys: [
        { kty: "AKP", alg: "ML-DSA-65", pub: "AA", kid: "a" },
        { ...rsaJwk, kid: "b" },
      ],
    });
    expect(await keys.find("a", "RS256")).toBeUndefined();
    expect(await keys.find("b", "RS256")).toBeDefined();
    expect(() => JwkSet.parse({ keys: [{ kty: "AKP", pub: "AA" }] })).toThrow(invalid);
  });

  test("keys for encryption are left out, whatever their kid", async () => {
    const keys = JwkSet.parse({
      keys: [
        { ...rsaJwk, kid: "a", use: "enc" },
        { ...p256Jwk, kid: "b", use: "sig" },
      ],
    });
    expect(await keys.find("a", "RS256")).toBeUndefined();
    expect(await keys.find("b", "ES256")).toBeDefined();
  });

  test("keys for other operations are left out; of those that verify only that is taken", async () => {
    const keys = JwkSet.parse({
      keys: [
        { ...rsaJwk, kid: "a", key_ops: ["encrypt"] },
        { ...rsaJwk, kid: "b", key_ops: "verify" },
        { ...p256Jwk, kid: "c", key_ops: ["sign", "verify"], ext: false, x5c: ["MII"] },
      ],
    });
    expect(await keys.find("a", "RS256")).toBeUndefined();
    expect(await keys.find("b", "RS256")).toBeUndefined();
    expect(await keys.find("c", "ES256")).toMatchObject({ type: "public", usages: ["verify"] });
  });

  const rsaAlgorithms: TokenAlgorithm[] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
  const all: TokenAlgorithm[] = [...rsaAlgorithms, "ES256", "ES384", "ES512", "EdDSA"];
  test.each<{ name: string; jwk: object; fits: TokenAlgorithm[] }>([
    { name: "RSA", jwk: rsaJwk, fits: rsaAlgorithms },
    { name: "RSA with alg RS256", jwk: { ...rsaJwk, alg: "RS256" }, fits: ["RS256"] },
    { name: "RSA with alg PS384", jwk: { ...rsaJwk, alg: "PS384" }, fits: ["PS384"] },
    { name: "RSA with alg HS256", jwk: { ...rsaJwk, alg: "HS256" }, fits: [] },
    { name: "P-256", jwk: p256Jwk, fits: ["ES256"] },
    { name: "P-256 with alg RS256", jwk: { ...p256Jwk, alg: "RS256" }, fits: [] },
    { name: "P-384", jwk: publicJwk(ec("P-384")), fits: ["ES384"] },
    { name: "P-521", jwk: publicJwk(ec("P-521")), fits: ["ES512"] },
    { name: "secp256k1", jwk: publicJwk(ec("secp256k1")), fits: [] },
    { name: "Ed25519", jwk: ed25519Jwk, fits: ["EdDSA"] },
    { name: "X25519", jwk: publicJwk(generateKeyPairSync("x25519")), fits: [] },
    { name: "Ed448", jwk: publicJwk(generateKeyPairSync("ed448")), fits: [] },
  ])("a key of $name verifies $fits and nothing else", async ({ jwk, fits }) => {
    const keys = JwkSet.parse({ keys: [{ ...jwk, kid: "a" }] });
    const found: TokenAlgorithm[] = [];
    for (const algorithm of all) if ((await keys.find("a", algorithm)) !== undefined) found.push(algorithm);
    expect(found).toEqual(fits);
  });

  test.each<{ rule: string; keys: object[]; kid: string | undefined; found: boolean }>([
    {
      rule: "the kid's key",
      keys: [
        { ...rsaJwk, kid: "a" },
        { ...publicJwk(rsa(2_048)), kid: "b" },
      ],
      kid: "b",
      found: true,
    },
    { rule: "none for another kid", keys: [{ ...rsaJwk, kid: "a" }], kid: "b", found: false },
    { rule: "none for a kid where the keys have none", keys: [rsaJwk], kid: "a", found: false },
    {
      rule: "the only key that fits where the token has no kid",
      keys: [{ ...rsaJwk, kid: "a" }, p256Jwk],
      kid: undefined,
      found: true,
    },
    {
      rule: "none where the token has no kid and two keys fit",
      keys: [rsaJwk, publicJwk(rsa(2_048))],
      kid: undefined,
      found: false,
    },
    {
      rule: "none where two keys have one kid",
      keys: [
        { ...rsaJwk, kid: "a" },
        { ...publicJwk(rsa(2_048)), kid: "a" },
      ],
      kid: "a",
      found: false,
    },
    {
      rule: "the one of two keys with one kid that the algorithm chooses",
      keys: [
        { ...rsaJwk, kid: "a" },
        { ...p256Jwk, kid: "a" },
      ],
      kid: "a",
      found: true,
    },
  ])("find $rule", async ({ keys, kid, found }) => {
    expect((await JwkSet.parse({ keys }).find(kid, "RS256")) !== undefined).toBe(found);
  });

  test("a key found is for its one algorithm, verifies only and is made once", async () => {
    const keys = JwkSet.parse({ keys: [{ ...rsaJwk, kid: "a" }] });
    const key = await keys.find("a", "PS384");
    expect(key).toMatchObject({ type: "public", usages: ["verify"] });
    expect(key?.algorithm).toMatchObject({ name: "RSA-PSS", hash: { name: "SHA-384" } });
    expect(await keys.find("a", "PS384")).toBe(key);
    expect(await keys.find("a", "PS256")).not.toBe(key);
  });

  test.each([
    { rule: "a point that is not on its curve", jwk: { ...p256Jwk, x: "A".repeat(43) }, algorithm: "ES256" as const },
    { rule: "an EC key without a coordinate", jwk: { ...p256Jwk, y: undefined }, algorithm: "ES256" as const },
    { rule: "an Ed25519 key of another length", jwk: { ...ed25519Jwk, x: "AQID" }, algorithm: "EdDSA" as const },
    {
      rule: "an RSA key of 1024 bits behind zeros",
      jwk: { ...rsaJwk, n: `${"A".repeat(172)}${String((publicJwk(rsa(1_024)) as { n?: string }).n)}` },
      algorithm: "RS256" as const,
    },
    { rule: "a modulus that is not base64url", jwk: { ...rsaJwk, n: "!".repeat(342) }, algorithm: "RS256" as const },
  ])("$rule verifies nothing: it is as if it were not there", async ({ jwk, algorithm }) => {
    const keys = JwkSet.parse({
      keys: [
        { ...jwk, kid: "a" },
        { ...rsaJwk, kid: "b" },
      ],
    });
    expect(await keys.find("a", algorithm)).toBeUndefined();
    expect(await keys.find("b", "RS256")).toBeDefined();
  });
});
