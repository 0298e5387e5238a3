import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { readServiceAccountClaims } from "@signet/shared/service-account";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { TokenIssuerStore } from "./token-issuers.ts";

const now = 1_800_000_000;
const nodeUid = "node-uid";
const pairs = {
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  PS512: generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  EdDSA: generateKeyPairSync("ed25519"),
};
type Algorithm = keyof typeof pairs;
const algorithms = Object.keys(pairs) as Algorithm[];
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
const weak = generateKeyPairSync("rsa", { modulusLength: 1_024 });

const jwkOf = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: "jwk" }), use: "sig", ...more });
const keys = algorithms.map((alg) => jwkOf(pairs[alg].publicKey, { kid: `key of ${alg}`, alg }));
const issuer = {
  issuer: "https://issuer",
  audiences: ["signet-ca", "other"],
  algorithms: [...algorithms, "of-tomorrow"],
  maxTokenLifetimeSeconds: 3_600,
  trustDomain: "cluster.local",
  keys: { keys },
};

const accountPath = AccountPath.parse(defaultAccountPath);

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

interface Token {
  readonly alg?: Algorithm;
  readonly header?: object;
  readonly claims?: object;
  readonly node?: object | undefined;
  readonly signWith?: (signed: Buffer) => Buffer;
}

function makeToken({ alg = "ES256", header = {}, claims = {}, signWith, ...more }: Token = {}): string {
  const node = "node" in more ? more.node : { name: "node", uid: nodeUid };
  const payload = {
    ...{ iss: issuer.issuer, aud: ["signet-ca"], sub: "system:serviceaccount:foo:sleep" },
    ...{ iat: now, nbf: now, exp: now + 3_600 },
    "kubernetes.io": { namespace: "foo", serviceaccount: { name: "sleep" }, pod: { name: "p", uid: "u" }, node },
    ...claims,
  };
  const signed = `${part({ alg, kid: `key of ${alg}`, ...header })}.${part(payload)}`;
  const signature = (signWith ?? ((bytes) => signBy(alg, pairs[alg].privateKey, bytes)))(Buffer.from(signed));
  return `${signed}.${signature.toString("base64url")}`;
}

function signBy(alg: Algorithm, key: KeyObject, bytes: Buffer): Buffer {
  if (alg === "EdDSA") return sign(null, bytes, key);
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith("ES")) return sign(hash, bytes, { key, dsaEncoding: "ieee-p1363" });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
  return sign(hash, bytes, alg === "PS512" ? { key, ...pss } : key);
}

function storeOf(...issuers: object[]): TokenIssuerStore {
  const store = new TokenIssuerStore(TrustDomain.parse("cluster.local"), accountPath);
  store.offer({ issuers });
  return store;
}

function check(store: TokenIssuerStore, token: string, node: string | null = nodeUid): string {
  const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  try {
    store.verify({ token, claims: readServiceAccountClaims(payload) }, { now, nodeUid: node ?? undefined });
    return "good";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("a token that the CA would take", () => {
  test.each(algorithms)("verifies with %s", (alg) => {
    expect(check(storeOf(issuer), makeToken({ alg }))).toBe("good");
  });

  test("verifies where the CA tells the path of accounts that the agent has", () => {
    expect(check(storeOf({ ...issuer, accountPath: defaultAccountPath }), makeToken())).toBe("good");
  });

  test("verifies without a kid where one key fits", () => {
    expect(check(storeOf(issuer), makeToken({ header: { kid: undefined } }))).toBe("good");
  });

  test("may name no node where the agent has no token that names one", () => {
    expect(check(storeOf(issuer), makeToken({ node: undefined }), null)).toBe("good");
  });
});

describe("a token is refused", () => {
  const publicPem = pairs.RS256.publicKey.export({ type: "spki", format: "pem" });
  const cases: Record<string, Token> = {
    "that is signed with another key": { signWith: (bytes) => signBy("ES256", stranger.privateKey, bytes) },
    "whose algorithm is none": { header: { alg: "none" }, signWith: () => Buffer.alloc(0) },
    "that is signed with the public key as a secret": {
      header: { alg: "HS256", kid: "key of RS256" },
      signWith: (bytes) => createHmac("sha256", publicPem).update(bytes).digest(),
    },
    "that names another algorithm than its key's": { header: { alg: "ES384" } },
    "whose signature is in DER": { signWith: (bytes) => sign("sha256", bytes, pairs.ES256.privateKey) },
    "of an unknown kid": { header: { kid: "elsewhere" } },
    "that brings its own key": { header: { jwk: jwkOf(stranger.publicKey) } },
    "of another audience": { claims: { aud: ["api"] } },
    "of another issuer": { claims: { iss: "https://elsewhere" } },
    "that has expired": { claims: { iat: now - 600, nbf: now - 600, exp: now } },
    "of the future": { claims: { iat: now + 61, nbf: now + 61 } },
    "that lives too long": { claims: { exp: now + 3_601 } },
  };
  test.each(Object.keys(cases))("%s", (what) => {
    expect(check(storeOf(issuer), makeToken(cases[what]))).toBe("token-not-accepted");
  });

  test("whose payload was changed", () => {
    const [header, , signature] = makeToken().split(".");
    const [, payload] = makeToken({ claims: { exp: now + 3_599 } }).split(".");
    expect(check(storeOf(issuer), `${header}.${payload}.${signature}`)).toBe("token-not-accepted");
  });

  test("of another node, and one that names none", () => {
    const there = makeToken({ node: { name: "there", uid: "there" } });
    expect([there, makeToken({ node: undefined })].map((token) => check(storeOf(issuer), token))).toEqual([
      "wrong-node",
      "wrong-node",
    ]);
  });

  test.each([
    { what: "no issuer is known", issuers: [] },
    { what: "its issuer is of another trust domain", issuers: [{ ...issuer, trustDomain: "elsewhere.test" }] },
    { what: "the issuer's rules do not allow its algorithm", issuers: [{ ...issuer, algorithms: ["RS256"] }] },
    {
      what: "the CA names its account otherwise",
      issuers: [{ ...issuer, accountPath: "/{namespace}/{serviceAccount}" }],
    },
    { what: "two keys fit", issuers: [{ ...issuer, keys: { keys: [...keys, ...keys] } }] },
  ])("where $what", ({ issuers }) => {
    expect(check(storeOf(...issuers), makeToken())).toBe("token-not-accepted");
  });

  test("whose key is weak, however long it looks", () => {
    const short = jwkOf(weak.publicKey, { kid: "key of RS256", alg: "RS256" });
    const padded = Buffer.concat([Buffer.alloc(128), Buffer.from(String((short as { n?: string }).n), "base64url")]);
    for (const n of [(short as { n?: string }).n, padded.toString("base64url")]) {
      const store = storeOf({ ...issuer, keys: { keys: [{ ...short, n }] } });
      const token = makeToken({ alg: "RS256", signWith: (bytes) => sign("sha256", bytes, weak.privateKey) });
      expect(check(store, token)).toBe("token-not-accepted");
    }
  });
});

test.each([{}, { issuers: "x" }, { issuers: [{ ...issuer, keys: [] }] }, null])(
  "a document that is none: %j",
  (json) => {
    const store = new TokenIssuerStore(TrustDomain.parse("cluster.local"), accountPath);
    expect(() => store.offer(json)).toThrow(expect.objectContaining({ code: "ca-answer-invalid" }));
  },
);
