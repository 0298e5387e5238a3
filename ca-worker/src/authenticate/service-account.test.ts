import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type TokenAlgorithm, tokenAlgorithms } from "@signet/shared/token-rules";
import { CompactSign } from "jose";
import { describe, expect, test } from "vitest";
import { madeIssuer, madeKeys } from "../../../test/support/made-issuer.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { webCrypto } from "../webcrypto.ts";
import { JwkSet } from "./jwk-set.ts";
import { fixedKeys, type KeySource } from "./key-source.ts";
import { type Issuer, TokenVerifier } from "./service-account.ts";

const refused = expect.objectContaining({ name: "SignetError", code: "token-not-accepted" });
const start = 1_762_000_000;
const issuerName = "https://issuer";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const pairs = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ES512: generateKeyPairSync("ec", { namedCurve: "P-521" }),
  EdDSA: generateKeyPairSync("ed25519"),
} as const satisfies Record<TokenAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }>;

const keysOf = (algorithm: TokenAlgorithm) =>
  JwkSet.parse({ keys: [{ ...pairs[algorithm].publicKey.export({ format: "jwk" }), kid: "a" }] });

function claims(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    iss: issuerName,
    aud: ["signet-ca"],
    sub: "system:serviceaccount:foo:sleep",
    iat: start,
    nbf: start,
    exp: start + 3_600,
    "kubernetes.io": {
      namespace: "foo",
      pod: { name: "sleep-1", uid: "pod" },
      serviceaccount: { name: "sleep", uid: "account" },
      node: { name: "node-1", uid: "node-1" },
    },
    ...changes,
  };
}

async function makeToken(
  payload: unknown = claims(),
  header: Readonly<Record<string, unknown>> = {},
  algorithm: TokenAlgorithm = "ES256",
): Promise<string> {
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ alg: algorithm, kid: "a", ...header })
    .sign(pairs[algorithm].privateKey);
}

function bench(changes: Partial<Issuer> = {}, crypto = nodeCrypto) {
  const time = { now: start };
  const issuer = madeIssuer({ issuer: issuerName, keys: fixedKeys(keysOf("ES256")), ...changes });
  return { time, issuer, verifier: new TokenVerifier([issuer], () => time.now, crypto) };
}

describe.each([
  { platform: "node:crypto", crypto: nodeCrypto },
  { platform: "WebCrypto", crypto: webCrypto },
])("tokens of every algorithm, with $platform", ({ crypto }) => {
  test.each(tokenAlgorithms)("%s", async (algorithm) => {
    const keys = fixedKeys(keysOf(algorithm));
    const token = await makeToken(claims(), {}, algorithm);
    const { verifier, issuer } = bench({ keys }, crypto);
    const verified = await verifier.verify(token);
    expect(verified.issuer).toBe(issuer);
    expect(verified.claims).toMatchObject({ namespace: "foo", serviceAccount: "sleep", nodeUid: "node-1" });

    // The same text with another payload, another signature, no signature, and where the algorithm is not allowed.
    const [header = "", , signature = ""] = token.split(".");
    const payload = (await makeToken(claims({ exp: start + 3_601 }))).split(".")[1];
    await expect(verifier.verify(`${header}.${payload}.${signature}`)).rejects.toEqual(refused);
    const other = signature.replace(/^./, (first) => (first === "A" ? "B" : "A"));
    await expect(verifier.verify(token.replace(signature, other))).rejects.toEqual(refused);
    await expect(verifier.verify(token.replace(signature, ""))).rejects.toEqual(refused);
    const algorithms = tokenAlgorithms.filter((one) => one !== algorithm);
    await expect(bench({ keys, algorithms }, crypto).verifier.verify(token)).rejects.toEqual(refused);
  });

  test("an ECDSA signature in DER is refused: a JWS has r || s", async () => {
    const { sign } = await import("node:crypto");
    const [header, payload] = (await makeToken()).split(".");
    const der = sign("sha256", Buffer.from(`${header}.${payload}`), pairs.ES256.privateKey).toString("base64url");
    await expect(bench({}, crypto).verifier.verify(`${header}.${payload}.${der}`)).rejects.toEqual(refused);
  });

  test("a PSS signature with a salt of another length is refused (RFC 7518 §3.5)", async () => {
    const { constants, sign } = await import("node:crypto");
    const [header, payload] = (await makeToken(claims(), {}, "PS256")).split(".");
    const key = { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING };
    const signature = (saltLength: number) =>
      sign("sha256", Buffer.from(`${header}.${payload}`), { ...key, saltLength }).toString("base64url");
    const { verifier } = bench({ keys: fixedKeys(keysOf("PS256")) }, crypto);
    await verifier.verify(`${header}.${payload}.${signature(32)}`);
    await expect(verifier.verify(`${header}.${payload}.${signature(20)}`)).rejects.toEqual(refused);
  });
});

describe("times of a token", () => {
  test.each([
    { rule: "the last moment before exp", claim: { exp: start + 100 }, now: start + 99.999, good: true },
    { rule: "exp itself: no skew is given past the end", claim: { exp: start + 100 }, now: start + 100, good: false },
    { rule: "nbf 60 s ahead", claim: { nbf: start + 60 }, now: start, good: true },
    { rule: "nbf over 60 s ahead", claim: { nbf: start + 60 }, now: start - 0.001, good: false },
    { rule: "iat 60 s ahead", claim: { iat: start + 60 }, now: start, good: true },
    { rule: "iat over 60 s ahead", claim: { iat: start + 60 }, now: start - 0.001, good: false },
    { rule: "the longest life that is allowed", claim: { exp: start + 86_400 }, now: start, good: true },
    { rule: "a life of a second more", claim: { exp: start + 86_401 }, now: start, good: false },
    { rule: "a life of nothing", claim: { iat: start, exp: start }, now: start - 1, good: false },
    { rule: "an end before the beginning", claim: { iat: start + 50, exp: start + 40 }, now: start, good: false },
  ])("$rule: $good", async ({ claim, now, good }) => {
    const { verifier, time } = bench();
    time.now = now;
    const token = await makeToken(claims(claim));
    if (good) await verifier.verify(token);
    else await expect(verifier.verify(token)).rejects.toEqual(refused);
  });
});

describe("what a token says", () => {
  test.each([
    { rule: "typ JWT", header: { typ: "JWT" } },
    { rule: "no kid where one key fits", header: { kid: undefined } },
  ])("take $rule", async ({ header }) => {
    await bench().verifier.verify(await makeToken(claims(), header));
  });

  test.each([
    { rule: "another typ", header: { typ: "at+jwt" } },
    { rule: "a kid that is no string", header: { kid: 1 } },
    { rule: "a kid of nobody", header: { kid: "b" } },
    { rule: "crit", header: { crit: ["exp"] } },
    { rule: "b64", header: { b64: true } },
    { rule: "zip", header: { zip: "DEF" } },
    { rule: "enc", header: { enc: "A128GCM" } },
    { rule: "jwk null", header: { jwk: null } },
  ])("refuse a header with $rule", async ({ header }) => {
    // jose will not sign some of these, so the header is put in its place by hand, signed by node:crypto.
    const { sign } = await import("node:crypto");
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "ES256", kid: "a", ...header })}.${part(claims())}`;
    const key = { key: pairs.ES256.privateKey, dsaEncoding: "ieee-p1363" } as const;
    const token = `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
    await expect(bench().verifier.verify(token)).rejects.toEqual(refused);
  });

  test.each([
    { rule: "a header that is a list", token: () => `W10.e30.AQID` },
    { rule: "a header that is null", token: () => `${Buffer.from("null").toString("base64url")}.e30.AQID` },
    { rule: "a payload that is null", token: () => makeToken(null) },
    { rule: "a payload that is a list", token: () => makeToken([]) },
    { rule: "an issuer that is no string", token: () => makeToken(claims({ iss: [issuerName] })) },
    { rule: "the issuer with a slash more", token: () => makeToken(claims({ iss: `${issuerName}/` })) },
    { rule: "an audience that only begins like ours", token: () => makeToken(claims({ aud: "signet-ca-2" })) },
  ])("refuse $rule", async ({ token }) => {
    await expect(bench().verifier.verify(await token())).rejects.toEqual(refused);
  });

  test("one of its audiences must be one of ours", async () => {
    const { verifier } = bench({ audiences: ["other", "signet-ca"] });
    await verifier.verify(await makeToken(claims({ aud: ["api", "signet-ca"] })));
    await verifier.verify(await makeToken(claims({ aud: "other" })));
    await expect(verifier.verify(await makeToken(claims({ aud: ["api"] })))).rejects.toEqual(refused);
  });

  test("an issuer's keys count for that issuer alone", async () => {
    const other = { ...bench().issuer, issuer: "https://other", keys: fixedKeys(keysOf("ES384")) };
    const verifier = new TokenVerifier([bench().issuer, other], () => start, nodeCrypto);
    await expect(verifier.verify(await makeToken(claims({ iss: "https://other" })))).rejects.toEqual(refused);
    const token = await makeToken(claims({ iss: "https://other" }), {}, "ES384");
    expect((await verifier.verify(token)).issuer).toBe(other);
  });

  test("of 200 issuers only the one that the token names is asked for keys", async () => {
    const asked: string[] = [];
    const keys = fixedKeys(keysOf("ES256"));
    const issuers = Array.from({ length: 200 }, (_, n) =>
      madeIssuer({
        issuer: `https://issuer/${n}`,
        keys: {
          ...keys,
          find(kid, algorithm) {
            asked.push(`https://issuer/${n}`);
            return keys.find(kid, algorithm);
          },
        },
      }),
    );
    const verifier = new TokenVerifier(issuers, () => start, nodeCrypto);
    const token = await makeToken(claims({ iss: "https://issuer/137" }));
    expect((await verifier.verify(token)).issuer).toBe(issuers[137]);
    expect(asked).toEqual(["https://issuer/137"]);
  });

  test("what the key source throws comes through", async () => {
    const { SignetError } = await import("@signet/shared/errors");
    const keys = madeKeys({
      find: async () => {
        throw new SignetError("issuer-unavailable", "down");
      },
    });
    await expect(bench({ keys }).verifier.verify(await makeToken())).rejects.toMatchObject({
      code: "issuer-unavailable",
    });
  });
});

describe("a token that is sent again", () => {
  /** A key source that counts how often it is asked, whose generation the test sets. */
  function counted() {
    const state = { asked: 0, generation: 1 };
    const inner = keysOf("ES256");
    const keys: KeySource = {
      ...madeKeys(),
      get generation() {
        return state.generation;
      },
      find(kid, algorithm) {
        state.asked++;
        return inner.find(kid, algorithm);
      },
    };
    return { state, ...bench({ keys }) };
  }

  test("is not verified again for 60 s", async () => {
    const { state, verifier, time } = counted();
    const token = await makeToken();
    await verifier.verifyRepeated(token);
    time.now += 59.999;
    expect((await verifier.verifyRepeated(token)).claims.serviceAccount).toBe("sleep");
    expect(state.asked).toBe(1);
    time.now += 0.001;
    await verifier.verifyRepeated(token);
    expect(state.asked).toBe(2);
  });

  test("is verified again when the issuer's keys changed", async () => {
    const { state, verifier } = counted();
    const token = await makeToken();
    await verifier.verifyRepeated(token);
    state.generation++;
    await verifier.verifyRepeated(token);
    expect(state.asked).toBe(2);
  });

  test("ends at its exp all the same", async () => {
    const { state, verifier, time } = counted();
    const token = await makeToken(claims({ exp: start + 30 }));
    await verifier.verifyRepeated(token);
    time.now += 30;
    await expect(verifier.verifyRepeated(token)).rejects.toEqual(refused);
    expect(state.asked).toBe(1);
  });

  test("is remembered by its whole text: another signature under the same claims is refused", async () => {
    const { verifier } = counted();
    const token = await makeToken();
    await verifier.verifyRepeated(token);
    const other = await makeToken(claims(), {}, "ES384");
    await expect(
      verifier.verifyRepeated(`${token.slice(0, token.lastIndexOf("."))}.${other.split(".")[2]}`),
    ).rejects.toEqual(refused);
  });

  test("is not remembered when it was refused", async () => {
    const { state, verifier, time } = counted();
    const token = await makeToken(claims({ nbf: start + 61 }));
    await expect(verifier.verifyRepeated(token)).rejects.toEqual(refused);
    time.now += 1;
    await verifier.verifyRepeated(token);
    expect(state.asked).toBe(2);
  });

  test("verify() never takes it from memory", async () => {
    const { state, verifier } = counted();
    const token = await makeToken();
    await verifier.verifyRepeated(token);
    await verifier.verify(token);
    expect(state.asked).toBe(2);
  });
});
