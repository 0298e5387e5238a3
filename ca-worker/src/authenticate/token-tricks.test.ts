import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { madeIssuer } from "../../../test/support/made-issuer.ts";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { discoverJwkSet } from "./fetch-keys.ts";
import { LoadedKeys } from "./key-source.ts";
import { TokenVerifier } from "./service-account.ts";

/**
 * What a malicious pod, or an issuer that is not ours, may write into a token. Each is signed with the issuer's own key
 * where that matters, so that nothing but the rule in question can refuse it.
 */
const now = 1_762_000_000;
const issuerName = "https://issuer.example";
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const elsewhere = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig" }] };

const bound = {
  namespace: "foo",
  node: { name: "node-1", uid: "node-uid" },
  pod: { name: "sleep-1", uid: "pod-uid" },
  serviceaccount: { name: "sleep", uid: "account-uid" },
};
const claims = {
  ...{ aud: ["signet-ca"], exp: now + 3_600, iat: now, iss: issuerName, nbf: now },
  "kubernetes.io": bound,
  sub: "system:serviceaccount:foo:sleep",
};
const header = { alg: "RS256", kid: "k1" };

const text = JSON.stringify;
const part = (content: string | Uint8Array) => Buffer.from(content).toString("base64url");
/** A token of these very texts, with a signature that holds. */
function signed(headerText: string | Uint8Array, payloadText: string | Uint8Array, key = privateKey): string {
  const content = `${part(headerText)}.${part(payloadText)}`;
  return `${content}.${sign("sha256", Buffer.from(content), key).toString("base64url")}`;
}
const withHeader = (changes: object) => signed(text({ ...header, ...changes }), text(claims));
const withClaims = (changes: object) => signed(text(header), text({ ...claims, ...changes }));
/** The claims with a piece of their JSON text replaced. */
const withText = (from: string, to: string) => {
  expect(text(claims)).toContain(from);
  return signed(text(header), text(claims).replace(from, to));
};

const asked: string[] = [];
const verifier = new TokenVerifier(
  [
    madeIssuer({
      issuer: issuerName,
      keys: new LoadedKeys({
        issuer: issuerName,
        clock: () => now,
        logger: makeLogger(),
        load: () =>
          discoverJwkSet(async (url) => {
            asked.push(url);
            const discovery = { issuer: issuerName, jwks_uri: `${issuerName}/jwks` };
            return Response.json(url.endsWith("/jwks") ? jwks : discovery);
          }, issuerName),
      }),
    }),
  ],
  () => now,
  nodeCrypto,
);
beforeEach(async () => {
  await verifier.verify(signed(text(header), text(claims)));
});

async function expectRefused(token: string): Promise<void> {
  await expect(verifier.verify(token)).rejects.toMatchObject({ name: "SignetError", code: "token-not-accepted" });
  await expect(verifier.verifyRepeated(token)).rejects.toMatchObject({ code: "token-not-accepted" });
  // Whatever stands in a token, nobody else was ever asked for keys.
  expect(new Set(asked)).toEqual(new Set([`${issuerName}/.well-known/openid-configuration`, `${issuerName}/jwks`]));
}

const foreignJwk = { ...elsewhere.publicKey.export({ format: "jwk" }), kid: "k1" };

describe("a header", () => {
  test.each<[string, object]>([
    ["jku", { jku: "https://evil.example/jwks" }],
    ["jku of the issuer itself", { jku: `${issuerName}/jwks` }],
    ["x5u", { x5u: "https://evil.example/chain.pem" }],
    ["x5c", { x5c: ["MIIB"] }],
    ["jwk", { jwk: foreignJwk }],
    ["crit", { crit: ["exp"], exp: 1 }],
    ["an empty crit", { crit: [] }],
    ["crit of what is understood", { crit: ["alg"] }],
    ["b64", { b64: false, crit: ["b64"] }],
    ["b64 alone", { b64: true }],
    ["cty, as a nested token has it", { cty: "JWT" }],
    ["zip", { zip: "DEF" }],
    ["enc", { enc: "A256GCM" }],
    ["typ of an access token", { typ: "at+jwt" }],
    ["typ of a DPoP proof", { typ: "dpop+jwt" }],
    ["typ in another type", { typ: ["JWT"] }],
    ["kid in another type", { kid: { a: 1 } }],
    ["kid null", { kid: null }],
  ])("with %s is refused", async (_, changes) => {
    await expectRefused(withHeader(changes));
  });

  test.each([
    "",
    "k2",
    "K1",
    "k1 ",
    "../../../../etc/passwd",
    "/dev/null",
    "file:///etc/passwd",
    "https://evil.example/jwks",
    "k1/../k1",
    "k1%00",
    "k1\u0000",
    "\u0000",
    "k1\nx-header: 1",
    "' OR '1'='1",
    "__proto__",
    "constructor",
    "k".repeat(8_000),
  ])("with the kid %j finds no key, and no file or place", async (kid) => {
    await expectRefused(withHeader({ kid }));
  });

  test.each<[unknown]>(
    [
      ...["none", "None", "NONE", "nOnE", "", "rs256", "Rs256", "RS256 ", " RS256", "RS256\u0000", "RS-256"],
      ...[
        "HS256",
        "HS384",
        "HS512",
        "ES256K",
        "RS1",
        "RSA1_5",
        "dir",
        "EdDSA",
        "Ed25519",
        "ML-DSA-44",
        "ES256",
        "PS256",
      ],
      ...[null, true, 256, ["RS256"], { alg: "RS256" }],
    ].map((alg): [unknown] => [alg]),
  )("with the alg %j is refused", async (alg) => {
    await expectRefused(withHeader({ alg }));
    const content = `${part(text({ ...header, alg }))}.${part(text(claims))}`;
    await expectRefused(`${content}.`);
  });

  test("without alg is refused", async () => {
    await expectRefused(withHeader({ alg: undefined }));
  });

  test.each([
    ["PEM", publicKey.export({ format: "pem", type: "spki" })],
    ["DER", publicKey.export({ format: "der", type: "spki" })],
    ["JWK", text(publicKey.export({ format: "jwk" }))],
  ])("HS256 with the public key as %s for the secret is refused", async (_, secret) => {
    const content = `${part(text({ alg: "HS256", kid: "k1" }))}.${part(text(claims))}`;
    await expectRefused(`${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`);
  });

  test("that brings its own key is refused, signed with that key", async () => {
    await expectRefused(signed(text({ ...header, jwk: foreignJwk }), text(claims), elsewhere.privateKey));
    await expectRefused(signed(text(header), text(claims), elsewhere.privateKey));
  });

  test.each([
    ["alg twice", '{"alg":"none","kid":"k1","alg":"RS256"}'],
    ["alg twice after unescaping", '{"alg":"RS256","kid":"k1","\\u0061lg":"none"}'],
    ["kid twice", '{"alg":"RS256","kid":"k2","kid":"k1"}'],
    ["a list", '[{"alg":"RS256","kid":"k1"}]'],
    ["a string", '"RS256"'],
    ["a byte order mark", '\ufeff{"alg":"RS256","kid":"k1"}'],
    ["a NUL behind it", '{"alg":"RS256","kid":"k1"}\u0000'],
    ["a comment", '{"alg":"RS256",/**/"kid":"k1"}'],
    ["nothing in it", ""],
  ])("as %s is refused", async (_, headerText) => {
    await expectRefused(signed(headerText, text(claims)));
  });

  test("that is not UTF-8 is refused", async () => {
    await expectRefused(signed(Buffer.from('{"alg":"RS256","kid":"k1","x":"\u00ff"}', "latin1"), text(claims)));
  });
});

describe("claims", () => {
  test.each<[string, object]>([
    ["no aud", { aud: undefined }],
    ["aud null", { aud: null }],
    ["aud empty", { aud: "" }],
    ["aud an empty list", { aud: [] }],
    ["aud of others", { aud: ["https://kubernetes.default.svc", "vault"] }],
    ["aud with ours in another case", { aud: "Signet-CA" }],
    ["aud with white space", { aud: "signet-ca " }],
    ["aud with a NUL", { aud: "signet-ca\u0000" }],
    ["aud with ours among others in one text", { aud: "vault signet-ca" }],
    ["aud with ours in a list in a list", { aud: [["signet-ca"]] }],
    ["aud with ours and no string", { aud: ["signet-ca", 1] }],
    ["aud an object", { aud: { "signet-ca": true } }],
    ["aud true", { aud: true }],
    ["iss of nobody", { iss: "https://evil.example" }],
    ["iss with a slash more", { iss: `${issuerName}/` }],
    ["iss in another case", { iss: issuerName.toUpperCase() }],
    ["iss with a NUL", { iss: `${issuerName}\u0000` }],
    ["iss a list", { iss: [issuerName] }],
    ["iss __proto__", { iss: "__proto__" }],
    ["exp as a text", { exp: String(now + 60) }],
    ["exp of the past", { exp: now - 1 }],
    ["exp a list", { exp: [now + 60] }],
    ["no exp", { exp: undefined }],
    ["no iat", { iat: undefined }],
    ["no nbf", { nbf: undefined }],
    ["no sub", { sub: undefined }],
    ["a life of a year", { exp: now + 31_536_000 }],
    ["iat far back, which makes the life long", { iat: now - 86_400 }],
    ["iat behind exp", { iat: now + 50, exp: now + 40 }],
    ["sub of another account", { sub: "system:serviceaccount:kube-system:admin" }],
    ["sub with a NUL", { sub: "system:serviceaccount:foo:sleep\u0000" }],
    ["sub with one part more", { sub: "system:serviceaccount:foo:sleep:x" }],
    ["kubernetes.io a list", { "kubernetes.io": [bound] }],
    ["no kubernetes.io", { "kubernetes.io": undefined }],
    ["no pod", { "kubernetes.io": { ...bound, pod: undefined } }],
    [
      "a secret in the place of the pod",
      { "kubernetes.io": { ...bound, pod: undefined, secret: { name: "s", uid: "u" } } },
    ],
    ["a pod uid with a newline", { "kubernetes.io": { ...bound, pod: { name: "a", uid: "a\nb" } } }],
    [
      "a namespace that makes another path",
      { "kubernetes.io": { ...bound, namespace: "foo/sa/admin" }, sub: "system:serviceaccount:foo/sa/admin:sleep" },
    ],
    [
      "an account of dots",
      { "kubernetes.io": { ...bound, serviceaccount: { name: ".." } }, sub: "system:serviceaccount:foo:.." },
    ],
    [
      "an account with a NUL",
      {
        "kubernetes.io": { ...bound, serviceaccount: { name: "sleep\u0000" } },
        sub: "system:serviceaccount:foo:sleep\u0000",
      },
    ],
    [
      "a colon that moves the namespace",
      {
        "kubernetes.io": { ...bound, namespace: "a:b", serviceaccount: { name: "c" } },
        sub: "system:serviceaccount:a:b:c",
      },
    ],
    [
      "the legacy form, which is bound to nothing and never ends",
      {
        ...{ iss: "kubernetes/serviceaccount", exp: undefined, iat: undefined, nbf: undefined, aud: undefined },
        ...{ "kubernetes.io": undefined, "kubernetes.io/serviceaccount/namespace": "foo" },
      },
    ],
  ])("with %s are refused", async (_, changes) => {
    await expectRefused(withClaims(changes));
  });

  test.each(["1e400", "-1e400", "1e308", "9007199254740993", "18446744073709551616", "-1", "1e-400"])(
    "with exp, iat or nbf %s are refused",
    async (number) => {
      await expectRefused(withText(`"exp":${claims.exp}`, `"exp":${number}`));
      await expectRefused(withText(`"iat":${claims.iat}`, `"iat":${number}`));
      const nbf = withText(`"nbf":${claims.nbf}`, `"nbf":${number}`);
      // Valid ever since 1970 is what this one says.
      if (number === "1e-400") await verifier.verify(nbf);
      else await expectRefused(nbf);
    },
  );

  test.each([
    ["aud twice, the second ours", '"aud":["signet-ca"]', '"aud":["vault"],"aud":["signet-ca"]'],
    ["aud twice, the first ours", '"aud":["signet-ca"]', '"aud":["signet-ca"],"aud":["vault"]'],
    ["aud twice after unescaping", '"aud":["signet-ca"]', '"aud":["signet-ca"],"\\u0061ud":["vault"]'],
    ["sub twice", '"sub":"', '"sub":"system:serviceaccount:foo:admin","sub":"'],
    ["exp twice", '"exp":', '"exp":1,"exp":'],
    ["the pod twice", '"pod":', '"pod":{"name":"other","uid":"other"},"pod":'],
    ["the node twice", '"node":', '"node":{"name":"other","uid":"other"},"node":'],
    ["the uid of the node twice", '"uid":"node-uid"', '"uid":"other","uid":"node-uid"'],
    ["kubernetes.io twice", '"kubernetes.io":', '"kubernetes.io":{},"kubernetes.io":'],
    ["a raw NUL in a text", '"foo"', '"fo\u0000o"'],
    ["half a surrogate pair", '"sub":', '"x":"\\ud800","sub":'],
    ["a very deep claim", '"sub":', `"x":${"[".repeat(2_000)}${"]".repeat(2_000)},"sub":`],
    ["a comma too many", '"sub":', ',"sub":'],
  ])("with %s are refused", async (_, from, to) => {
    await expectRefused(withText(from, to));
  });

  test.each([
    ["a token in a token", () => signed(text(header), text(signed(text(header), text(claims))))],
    ["a token in a token, bare", () => signed(text(header), signed(text(header), text(claims)))],
    ["claims in a list", () => signed(text(header), text([claims]))],
    ["null", () => signed(text(header), "null")],
    ["a number", () => signed(text(header), "1")],
    ["nothing", () => signed(text(header), "")],
  ])("as %s are refused", async (_, token) => {
    await expectRefused(token());
  });

  test("that are not UTF-8 are refused", async () => {
    const overlong = Buffer.from(text(claims)).toString("latin1").replace("sleep-1", "sleep\u00c0\u00afx");
    await expectRefused(signed(text(header), Buffer.from(overlong, "latin1")));
  });
});

describe("the text of a token", () => {
  const good = signed(text(header), text(claims));
  const [first = "", second = "", third = ""] = good.split(".");
  // 256 bytes leave two bits over in their last character of base64url: four texts that sloppy readers take for one.
  const lastButOne = third.slice(0, -1);
  const others = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].filter(
    (letter) => letter !== third.at(-1),
  );

  test.each([
    ["a space before it", ` ${good}`],
    ["a newline behind it", `${good}\n`],
    ["a tab in it", `${first}.\t${second}.${third}`],
    ["a line break in a part", `${first}.${second.slice(0, 40)}\r\n${second.slice(40)}.${third}`],
    ["padding", `${first}.${second}.${third}==`],
    ["the other alphabet", `${first}.${second}.${third.replaceAll("-", "+").replaceAll("_", "/")}+/`],
    ["a NUL behind it", `${good}\u0000`],
    ["letters that only look the same", good.replace("e", "\u0435")],
    ["a dot behind it", `${good}.`],
    ["a dot before it", `.${good}`],
    ["two parts", `${first}.${second}`],
    ["five parts, as an encrypted one", `${good}.AA.AA`],
    ["no signature", `${first}.${second}.`],
    ["no payload", `${first}..${third}`],
    ["detached content", `${first}..${third}`],
    ["the signature twice", `${first}.${second}.${third}${third}`],
    ["half of its signature", `${first}.${second}.${third.slice(0, 171)}`],
    ["a signature of zeros", `${first}.${second}.${part(Buffer.alloc(256))}`],
    ["over 16 Ki characters", withClaims({ x: "x".repeat(16_384) })],
    ["the JSON form", text({ protected: first, payload: second, signature: third })],
    ["nothing", ""],
  ])("with %s is refused", async (_, token) => {
    await expectRefused(token);
  });

  test("has one form only: with another last character it is another token, or none", async () => {
    for (const letter of others) await expectRefused(`${first}.${second}.${lastButOne}${letter}`);
  });
});
