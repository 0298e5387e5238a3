import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { agentServiceAccount } from "./ca-config.ts";
import { mutation } from "./mutation.ts";
import { caAudience, kubernetesIssuer } from "./token-issuer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const nodeUid = "0b5d8a39-7c5e-4c71-9c43-3f0f1f7d2b10";
const node = { name: "node-1", uid: nodeUid };
const header = { alg: "ES256", kid: "k1" };

/** The issuer's keys, as a CA is configured with them. */
export const tokenKeys = { keys: [{ ...publicKey.export({ format: "jwk" }), ...header, use: "sig" }] };

function claimsOf(namespace: string, name: string): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    ...{ aud: [caAudience], exp: now + 3_600, iat: now, nbf: now, iss: kubernetesIssuer, jti: "j1" },
    sub: `system:serviceaccount:${namespace}:${name}`,
    "kubernetes.io": {
      namespace,
      node,
      pod: { name: `${name}-1`, uid: "f3a1c9a0-2f6b-4f0e-8d9a-1a2b3c4d5e6f" },
      serviceaccount: { name, uid: "6d2c1b0a-9f8e-4d7c-8b6a-5f4e3d2c1b0a" },
    },
  };
}

const part = (text: string | Uint8Array) => Buffer.from(text).toString("base64url");

/** A token of these very texts, with a signature that holds. */
function signed(headerText: string | Uint8Array, payloadText: string | Uint8Array): string {
  const content = `${part(headerText)}.${part(payloadText)}`;
  const signature = sign("sha256", Buffer.from(content), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${content}.${signature.toString("base64url")}`;
}

const claims = claimsOf("foo", "sleep");
export const goodToken = signed(JSON.stringify(header), JSON.stringify(claims));
export const agentToken = signed(
  JSON.stringify(header),
  JSON.stringify(claimsOf(agentServiceAccount.namespace, agentServiceAccount.name)),
);

/** Changes of the text of a token, which nobody has signed. */
export const spoiltToken: fc.Arbitrary<string> = mutation.map((spoil) =>
  new TextDecoder("latin1").decode(spoil(new TextEncoder().encode(goodToken) as Bytes)),
);

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    2 ** 53,
    1.5,
    "",
    [],
    {},
    [caAudience],
    caAudience,
    node,
    "..",
    "/",
    "a/../b",
  ),
  fc.constantFrom("a\0b", "\ud800", "Foo", "kube-system", "system:serviceaccount:foo:sleep", "k1", "none", "HS256"),
  fc.jsonValue({ maxDepth: 2 }),
);

/** A value with one of its members, at any depth, left out or another. */
function changed(value: Readonly<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const paths = pathsOf(value);
  return fc
    .record({ path: fc.constantFrom(...paths), drop: fc.boolean(), put: odd })
    .map(({ path, drop, put }) => replace(value, path, drop ? undefined : put));
}

function pathsOf(value: Readonly<Record<string, unknown>>): string[][] {
  return Object.entries(value).flatMap(([key, member]) => {
    const inner = typeof member === "object" && member !== null && !Array.isArray(member);
    return [[key], ...(inner ? pathsOf(member as Record<string, unknown>).map((path) => [key, ...path]) : [])];
  });
}

function replace(
  value: Readonly<Record<string, unknown>>,
  [key = "", ...rest]: string[],
  put: unknown,
): Record<string, unknown> {
  const inner = value[key] as Readonly<Record<string, unknown>>;
  return { ...value, [key]: rest.length === 0 ? put : replace(inner, rest, put) };
}

const spoiltText = (good: object) =>
  fc.oneof(
    changed(good as Record<string, unknown>).map((other) => JSON.stringify(other)),
    mutation.map((spoil) => spoil(new TextEncoder().encode(JSON.stringify(good)) as Bytes)),
  );

/** Changes of what a token says, signed by its issuer all the same: no more than the CA's own rules refuses them. */
export const resignedToken: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: spoiltText(claims).map((payload) => signed(JSON.stringify(header), payload)) },
  { weight: 1, arbitrary: spoiltText(header).map((other) => signed(other, JSON.stringify(claims))) },
);
