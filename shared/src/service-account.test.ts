import { describe, expect, test } from "vitest";
import { toBase64Url } from "./base64.ts";
import { decodeTokenParts, decodeTokenUnverified, readServiceAccountClaims } from "./service-account.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-token" });

// The claims of a real token of Kubernetes 1.32, with other names.
const payload = {
  aud: ["signet-ca"],
  exp: 1_762_003_607,
  iat: 1_762_000_000,
  iss: "https://kubernetes.default.svc.cluster.local",
  jti: "6f2b1f3e-9d2b-4a3c-8d8c-0f4a4f0a9b5e",
  "kubernetes.io": {
    namespace: "foo",
    node: { name: "node-1", uid: "0f0b7c7a-6f57-4f7e-9b0e-1d5b2d1c7a11" },
    pod: { name: "sleep-5f9c-x2z", uid: "1b2c3d4e-5f60-4718-8a9b-0c1d2e3f4a5b" },
    serviceaccount: { name: "sleep", uid: "8d1f6a1e-2222-4333-8444-555566667777" },
  },
  nbf: 1_762_000_000,
  sub: "system:serviceaccount:foo:sleep",
};
const bound = payload["kubernetes.io"];
const withBound = (changes: object) => ({ ...payload, "kubernetes.io": { ...bound, ...changes } });
const ofAccount = (namespace: string, name: string) => ({
  ...withBound({ namespace, serviceaccount: { name, uid: "u" } }),
  sub: `system:serviceaccount:${namespace}:${name}`,
});

describe("claims of a service account token", () => {
  test("all of them", () => {
    expect(readServiceAccountClaims(payload)).toEqual({
      issuer: payload.iss,
      audiences: ["signet-ca"],
      subject: payload.sub,
      issuedAt: payload.iat,
      notBefore: payload.nbf,
      expiresAt: payload.exp,
      tokenId: payload.jti,
      namespace: "foo",
      serviceAccount: "sleep",
      podName: bound.pod.name,
      podUid: bound.pod.uid,
      nodeName: "node-1",
      nodeUid: bound.node.uid,
    });
  });

  test.each([
    { rule: "one audience as a string", claims: { ...payload, aud: "signet-ca" }, read: { audiences: ["signet-ca"] } },
    { rule: "several audiences", claims: { ...payload, aud: ["a", "b"] }, read: { audiences: ["a", "b"] } },
    { rule: "no jti", claims: { ...payload, jti: undefined }, read: { tokenId: undefined } },
    { rule: "no node", claims: withBound({ node: undefined }), read: { nodeName: undefined, nodeUid: undefined } },
    {
      rule: "a node without a name",
      claims: withBound({ node: { uid: "n" } }),
      read: { nodeName: undefined, nodeUid: "n" },
    },
    {
      rule: "a node without a uid, which the API server did not find",
      claims: withBound({ node: { name: "node-1" } }),
      read: { nodeName: "node-1", nodeUid: undefined },
    },
    {
      rule: "unknown claims",
      claims: { ...withBound({ warnafter: 1, secret: {} }), more: 1 },
      read: { namespace: "foo" },
    },
    { rule: "times with a fraction", claims: { ...payload, exp: 1.5 }, read: { expiresAt: 1.5 } },
    { rule: "names with dots", claims: ofAccount("foo", "a.b-c.d"), read: { serviceAccount: "a.b-c.d" } },
    { rule: "a namespace of 63", claims: ofAccount("n".repeat(63), "a"), read: { namespace: "n".repeat(63) } },
    { rule: "an account of 253", claims: ofAccount("n", "a".repeat(253)), read: { serviceAccount: "a".repeat(253) } },
  ])("take $rule", ({ claims, read }) => {
    expect(readServiceAccountClaims(claims)).toMatchObject(read);
  });

  test.each([
    ...["iss", "aud", "sub", "iat", "nbf", "exp", "kubernetes.io"].flatMap((claim) => [
      { rule: `no ${claim}`, claims: { ...payload, [claim]: undefined } },
      { rule: `${claim} null`, claims: { ...payload, [claim]: null } },
      { rule: `${claim} true`, claims: { ...payload, [claim]: true } },
    ]),
    ...["namespace", "pod", "serviceaccount"].flatMap((part) => [
      { rule: `no ${part}`, claims: withBound({ [part]: undefined }) },
      { rule: `${part} of another type`, claims: withBound({ [part]: [] }) },
    ]),
    ...["pod", "node"].flatMap((part) => [
      { rule: `a ${part} with an empty uid`, claims: withBound({ [part]: { name: "sleep", uid: "" } }) },
      { rule: `a ${part} with a newline in its uid`, claims: withBound({ [part]: { name: "sleep", uid: "a\nb" } }) },
      {
        rule: `a ${part} with a very long uid`,
        claims: withBound({ [part]: { name: "sleep", uid: "u".repeat(129) } }),
      },
    ]),
    { rule: "no object: a string", claims: "payload" },
    { rule: "no object: null", claims: null },
    { rule: "no object: an array", claims: [] },
    { rule: "an empty issuer", claims: { ...payload, iss: "" } },
    { rule: "an empty audience", claims: { ...payload, aud: "" } },
    { rule: "an empty list of audiences", claims: { ...payload, aud: [] } },
    { rule: "an empty audience in a list", claims: { ...payload, aud: ["signet-ca", ""] } },
    { rule: "an audience that is no string", claims: { ...payload, aud: [1] } },
    ...["iat", "nbf", "exp"].flatMap((claim) => [
      { rule: `${claim} as a string`, claims: { ...payload, [claim]: "1762000000" } },
      { rule: `${claim} below zero`, claims: { ...payload, [claim]: -1 } },
      { rule: `${claim} NaN`, claims: { ...payload, [claim]: Number.NaN } },
      { rule: `${claim} infinite`, claims: { ...payload, [claim]: Number.POSITIVE_INFINITY } },
      { rule: `${claim} over 2^53`, claims: { ...payload, [claim]: 2 ** 53 } },
    ]),
    { rule: "a jti that is no string", claims: { ...payload, jti: 1 } },
    { rule: "a very long jti", claims: { ...payload, jti: "x".repeat(257) } },
    { rule: "a pod without a uid", claims: withBound({ pod: { name: "sleep" } }) },
    { rule: "sub of another account", claims: { ...payload, sub: "system:serviceaccount:foo:admin" } },
    { rule: "sub of another namespace", claims: { ...payload, sub: "system:serviceaccount:bar:sleep" } },
    { rule: "sub in another form", claims: { ...payload, sub: "foo:sleep" } },
    { rule: "sub with something behind", claims: { ...payload, sub: `${payload.sub}:x` } },
    ...["", "foo/bar", "..", "Foo", "-foo", "foo-", "foo.bar", "foo:sleep", "foo\n", "f\u00f6o", "n".repeat(64)].map(
      (namespace) => ({ rule: `the namespace ${JSON.stringify(namespace)}`, claims: ofAccount(namespace, "sleep") }),
    ),
    ...["", "a/b", "..", ".a", "a.", "a..b", "Sleep", "-a", "a-", "a:b", "a\n", "a%2f", "a".repeat(254)].map(
      (name) => ({
        rule: `the account ${JSON.stringify(name)}`,
        claims: ofAccount("foo", name),
      }),
    ),
    { rule: "a node name of other characters", claims: withBound({ node: { name: "a/b", uid: "u" } }) },
  ])("refuse $rule", ({ claims }) => {
    expect(() => readServiceAccountClaims(claims)).toThrow(malformed);
  });

  test("a member of the object's prototype is no claim", () => {
    expect(() => readServiceAccountClaims(JSON.parse('{"__proto__": {"iss": "a"}}'))).toThrow(malformed);
  });
});

describe("take a token apart without verifying it", () => {
  const encode = (text: string) => toBase64Url(new TextEncoder().encode(text));
  const header = encode('{"alg":"RS256","kid":"k"}');

  test("its header, payload, signature and what is signed", () => {
    const signed = `${header}.${encode('{"a":"\u00e4"}')}`;
    expect(decodeTokenParts(`${signed}.AQID`)).toEqual({
      header: { alg: "RS256", kid: "k" },
      payload: { a: "\u00e4" },
      signed,
      signature: Uint8Array.of(1, 2, 3),
    });
    expect(decodeTokenUnverified(`${signed}.AQID`)).toEqual({ a: "\u00e4" });
  });

  const good = encode("{}");
  test.each([
    { rule: "nothing", token: "" },
    { rule: "one part", token: header },
    { rule: "two parts", token: `${header}.${good}` },
    { rule: "four parts", token: `${header}.${good}.AQID.` },
    { rule: "five parts, as an encrypted token has", token: `${header}.${good}.AQID.AQID.AQID` },
    { rule: "an empty payload", token: `${header}..AQID` },
    { rule: "an empty header", token: `.${good}.AQID` },
    { rule: "base64 with padding", token: `${header}.e30=.AQID` },
    { rule: "the alphabet of base64", token: `${header}.${good}.+/+/` },
    { rule: "stray bits in the payload", token: `${header}.e31.AQID` },
    { rule: "stray bits in the signature", token: `${header}.${good}.AR` },
    { rule: "white space", token: ` ${header}.${good}.AQID` },
    { rule: "a newline at the end", token: `${header}.${good}.AQID\n` },
    { rule: "a payload that is not JSON", token: `${header}.${encode("{")}.AQID` },
    { rule: "a header that is not JSON", token: `${encode("x")}.${good}.AQID` },
    { rule: "a payload that is not UTF-8", token: `${header}.${toBase64Url(Uint8Array.of(0x22, 0xff, 0x22))}.AQID` },
    { rule: "a payload that begins with a byte order mark", token: `${header}.${encode("\ufeff{}")}.AQID` },
    { rule: "a claim twice", token: `${header}.${encode('{"aud":"a","aud":"b"}')}.AQID` },
    { rule: "a claim twice after unescaping", token: `${header}.${encode('{"aud":"a","\\u0061ud":"b"}')}.AQID` },
    { rule: "alg twice", token: `${encode('{"alg":"none","alg":"RS256"}')}.${good}.AQID` },
    { rule: "a claim twice in kubernetes.io", token: `${header}.${encode('{"k":{"pod":1,"pod":2}}')}.AQID` },
    { rule: "a very deep payload", token: `${header}.${encode("[".repeat(900) + "]".repeat(900))}.AQID` },
    { rule: "the JSON form of a JWS", token: '{"payload":"e30","signatures":[]}' },
  ])("refuse $rule", ({ token }) => {
    expect(() => decodeTokenParts(token)).toThrow(malformed);
    expect(() => decodeTokenUnverified(token)).toThrow(malformed);
  });
});
