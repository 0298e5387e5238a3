import { generateKeyPairSync } from "node:crypto";
import { octetString, sequence, tlv } from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import { decodePem, encodePem } from "@signet/shared/pem";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import {
  certificateDer,
  extendedKeyUsage,
  extensions,
  keyUsage,
  leafId,
  type SvidExtensions,
  subjectAltName,
} from "../../../../test/support/certificate-der.ts";
import {
  caTrue,
  commonName,
  dnsName,
  extension,
  ipName,
  makeCsr,
  makeKey,
  rdn,
  uriName,
} from "../../../../test/support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeAuthority } from "../../authority/make/authority.ts";
import { inspect } from "./inspect.ts";
import { renderSections, type Section } from "./report.ts";

// Within the life of test certificates.
const now = 1_700_000_100;
const look = async (what: string | Uint8Array | object): Promise<Section> => {
  const bytes = what instanceof Uint8Array ? what : Buffer.from(typeof what === "string" ? what : JSON.stringify(what));
  const [section, ...more] = await inspect(bytes, "it", now);
  expect(more).toEqual([]);
  return section as Section;
};
const rulesOf = ({ breaks }: Section) => breaks.map(({ rule }) => rule);

describe("certificates", () => {
  const svid = (changes: Partial<SvidExtensions>) => certificateDer({ extensions: extensions(changes) });

  test("an X509-SVID breaks no rule, in DER and in PEM with words around it", async () => {
    const der = certificateDer();
    const section = await look(der);
    expect(section).toMatchObject({
      ...{ title: "certificate: leaf", kind: "certificate", breaks: [], notes: [] },
      facts: { "SPIFFE ID": leafId, subject: "(empty)", serial: "c0ffee", issuer: "CN=issuer", "is a CA": "no" },
    });
    const pem = `subject=\nissuer=CN = issuer\n${encodePem("CERTIFICATE", der).replaceAll("\n", "\r\n")}trailing\n`;
    expect(await look(pem)).toEqual(section);
  });

  test.each<{ rule: string; broken: readonly string[]; der: Uint8Array }>([
    {
      rule: "two URI SANs",
      broken: ["X1"],
      der: svid({ subjectAltName: subjectAltName(true, uriName(leafId), uriName(leafId)) }),
    },
    { rule: "no URI SAN", broken: ["X1"], der: svid({ subjectAltName: subjectAltName(true, dnsName("a.b")) }) },
    { rule: "no SAN, and no subject", broken: ["X1", "X2"], der: svid({ subjectAltName: undefined }) },
    {
      rule: "no path in the ID",
      broken: ["X2"],
      der: svid({ subjectAltName: subjectAltName(true, uriName("spiffe://a")) }),
    },
    {
      rule: "a SAN that is not critical, without a subject",
      broken: ["X2"],
      der: svid({ subjectAltName: subjectAltName(false, uriName(leafId)) }),
    },
    { rule: "no key usage", broken: ["X3"], der: svid({ keyUsage: undefined }) },
    {
      rule: "a key usage for other things",
      broken: ["X3", "X3", "X3"],
      der: svid({ keyUsage: keyUsage(KeyUsageBit.keyCertSign, KeyUsageBit.cRLSign) }),
    },
    { rule: "one purpose alone", broken: ["X4"], der: svid({ extendedKeyUsage: extendedKeyUsage(Oid.serverAuth) }) },
    { rule: "a CA with a path that may not sign", broken: ["X5", "X5"], der: svid({ basicConstraints: caTrue }) },
    {
      rule: "an ID that is none",
      broken: ["I3"],
      der: svid({ subjectAltName: subjectAltName(true, uriName("spiffe://a/b//c")) }),
    },
  ])("name the rule: $rule", async ({ broken, der }) => {
    expect(rulesOf(await look(der))).toEqual(broken);
  });

  test("a DNS name and an address are no fault beside the URI; none is needed of a CA", async () => {
    const names = subjectAltName(true, uriName(leafId), dnsName("a.b"), ipName(10, 0, 0, 1));
    const section = await look(svid({ subjectAltName: names }));
    expect({ breaks: section.breaks, names: section.facts["alternative names"] }).toEqual({
      ...{ breaks: [], names: [`URI ${leafId}`, "DNS a.b", "IP 10.0.0.1"] },
    });
    const ca = { basicConstraints: caTrue, keyUsage: keyUsage(KeyUsageBit.keyCertSign), subjectAltName: undefined };
    expect(rulesOf(await look(svid({ ...ca, extendedKeyUsage: undefined })))).toEqual([]);
  });

  test("what cannot be read of an extension is told, and the rest is shown", async () => {
    const section = await look(
      svid({ extendedKeyUsage: extension(Oid.extendedKeyUsage, false, octetString(Uint8Array.of(1))) }),
    );
    expect(section.notes).toEqual([expect.stringMatching(/^extension 2\.5\.29\.37 cannot be read/)]);
    expect(section.facts["SPIFFE ID"]).toBe(leafId);
  });

  test("a name cannot pass for two, and colours no terminal", async () => {
    const section = await look(certificateDer({ subject: rdn("2.5.4.3", "a, O=b\u001b[2J\u202e") }));
    expect(section.facts.subject).toBe("CN=a\\, O\\=b\u001b[2J\u202e");
    const text = renderSections([section]);
    expect(text).toContain("CN=a\\, O\\=b\ufffd[2J\ufffd");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  test("the time is seen from now", async () => {
    const valid = async (at: number) => (await inspect(certificateDer(), "it", at))[0]?.facts.valid;
    expect(await valid(now)).toMatch(/^2023-11-14T22:13:20Z to 2023-11-14T23:13:20Z \(ends in 58m 20s\)$/);
    expect(await valid(now + 4_000)).toMatch(/EXPIRED/);
    expect(await valid(now - 4_000)).toMatch(/NOT VALID YET/);
  });

  test("of a chain, each is held against the next", async () => {
    const trustDomain = TrustDomain.parse("cluster.local");
    const { document } = await makeAuthority({ trustDomain, now });
    const [issuing = "", root = ""] = document.authorities[0]?.chain ?? [];
    const sections = await inspect(Buffer.from(issuing + root), "it", now);
    expect(sections.map(({ title, breaks, facts }) => ({ title, breaks, by: facts["signed by"] }))).toEqual([
      { title: "certificate 1 of 2: CA", breaks: [], by: "certificate 2" },
      { title: "certificate 2 of 2: root or self-signed CA", breaks: [], by: undefined },
    ]);
    const mixed = await inspect(Buffer.from(encodePem("CERTIFICATE", certificateDer()) + root), "it", now);
    expect(mixed[0]?.notes).toEqual([expect.stringMatching(/certificate 2 did not sign it/)]);
  });
});

describe("CSRs", () => {
  test.each([
    { rule: "nothing asked for", pem: makeCsr({ uris: [] }), broken: [] },
    { rule: "an ID", pem: makeCsr({ uris: [leafId] }), broken: [] },
    { rule: "a DNS name", pem: makeCsr({ names: [dnsName("a.b")] }), broken: ["CA"] },
    { rule: "an ID that is none", pem: makeCsr({ uris: ["spiffe://a/b//c"] }), broken: ["I3"] },
    { rule: "a signature of another key", pem: makeCsr({ signWith: makeKey() }), broken: ["CA"] },
    { rule: "a key that is too short", pem: makeCsr({ key: makeKey("rsa1024") }), broken: ["CA"] },
  ])("are shown with what is refused: $rule", async ({ pem, broken }) => {
    const section = await look(pem);
    expect({ kind: section.kind, rules: rulesOf(section) }).toEqual({ kind: "csr", rules: broken });
    const [block] = decodePem(pem);
    expect(await look(block?.der ?? "")).toEqual(section);
  });
});

describe("bundles", () => {
  const x5c = [
    Buffer.from(
      certificateDer({
        subject: commonName("issuer"),
        extensions: extensions({
          basicConstraints: caTrue,
          keyUsage: keyUsage(KeyUsageBit.keyCertSign),
          extendedKeyUsage: undefined,
          subjectAltName: undefined,
        }),
      }),
    ).toString("base64"),
  ];
  const key = { kty: "EC", use: "x509-svid", crv: "P-256", x: "a", y: "b", x5c };
  const bundle = (changes: object, keyChanges: object = {}) => ({
    spiffe_sequence: 1,
    spiffe_refresh_hint: 300,
    keys: [{ ...key, ...keyChanges }],
    ...changes,
  });
  const allRules = (section: Section): string[] => [...rulesOf(section), ...(section.parts ?? []).flatMap(allRules)];

  test.each([
    { rule: "nothing", document: bundle({}), broken: [] },
    { rule: "no keys at all", document: bundle({ keys: [] }), broken: [] },
    { rule: "keys that are missing", document: bundle({ keys: undefined }), broken: ["B1"] },
    { rule: "a sequence that is no number", document: bundle({ spiffe_sequence: "1" }), broken: ["B2"] },
    { rule: "a hint with a fraction", document: bundle({ spiffe_refresh_hint: 1.5 }), broken: ["B2"] },
    { rule: "a key without its use", document: bundle({}, { use: undefined }), broken: ["B3"] },
    { rule: "a use that is not known", document: bundle({}, { use: "X509-SVID" }), broken: ["B3"] },
    { rule: "a key without its kind", document: bundle({}, { kty: undefined }), broken: ["B3"] },
    { rule: "a kid", document: bundle({}, { kid: "a" }), broken: ["B4"] },
    { rule: "no x5c", document: bundle({}, { x5c: undefined }), broken: ["B4", "B4"] },
    { rule: "two certificates", document: bundle({}, { x5c: [...x5c, ...x5c] }), broken: ["B4"] },
    {
      rule: "a leaf in x5c",
      document: bundle({}, { x5c: [Buffer.from(certificateDer()).toString("base64")] }),
      broken: ["B4"],
    },
    { rule: "a JWT key without its kid", document: bundle({}, { use: "jwt-svid", x5c: undefined }), broken: ["B4"] },
    { rule: "a map without its member", document: { trust_domains: [] }, broken: ["B5"] },
    {
      rule: "a map of a trust domain that is none",
      document: { trust_domains: { "A b": bundle({}) } },
      broken: ["I2"],
    },
    {
      rule: "a map in which a name stands twice",
      document: `{"trust_domains": {"a": {"keys": []}, "a" : {"keys": []}}}`,
      broken: ["B5"],
    },
    {
      rule: "our own bundle of a bad name",
      document: { trustDomain: "A", sequence: 1, refreshHintSeconds: 1, roots: [] },
      broken: ["I2"],
    },
  ])("$rule", async ({ document, broken }) => {
    expect(allRules(await look(document))).toEqual(broken);
  });

  test("a JWK Set of an issuer is none, and is shown", async () => {
    const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
    const section = await look({ keys: [{ ...jwk, kid: "k1", alg: "ES256", use: "sig" }] });
    expect(section).toMatchObject({ kind: "jwk-set", breaks: [], parts: [{ facts: { "key id": "k1", use: "sig" } }] });
    expect(section.parts?.[0]?.facts.key).toMatch(/^EC P-256, SHA-256 [0-9a-f]{64}$/);
  });

  test("an answer of the CA is shown whole", async () => {
    const { document } = await makeAuthority({ trustDomain: TrustDomain.parse("cluster.local"), now });
    const chain = document.authorities[0]?.chain ?? [];
    const trustBundle = { trustDomain: "cluster.local", sequence: 1, refreshHintSeconds: 300, roots: chain.slice(-1) };
    const leaf = encodePem("CERTIFICATE", certificateDer());
    const section = await look({ spiffeId: leafId, serialNumber: "c0ffee", certificateChain: [leaf], trustBundle });
    expect(section.parts?.map(({ kind }) => kind)).toEqual(["certificate", "trust-bundle"]);
    const problem = {
      type: "urn:signet:problem:rate-limited",
      title: "Too many requests",
      status: 429,
      requestId: "r",
    };
    expect((await look(problem)).facts).toMatchObject({ code: "rate-limited", status: 429, "request id": "r" });
  });
});

describe("tokens", () => {
  const jwt = (header: object, payload: object) =>
    `${[header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.c2lnbmF0dXJl`;
  const svid = { sub: leafId, aud: ["a"], exp: now + 60 };

  test("of Kubernetes are shown without their signature, with or without Bearer", async () => {
    const token = await (await TokenIssuer.create()).token(makePod("foo", "sleep", makeNode("node-1")));
    const section = await look(`Bearer ${token}\n`);
    expect(section).toMatchObject({
      title: "Kubernetes service-account token",
      breaks: [],
      facts: { namespace: "foo", "header alg": "RS256" },
    });
    expect(section.facts.pod).toEqual([expect.stringMatching(/^name sleep-/), expect.stringMatching(/^uid /)]);
    const signature = token.split(".")[2] ?? "";
    expect(signature.length).toBeGreaterThan(100);
    expect(JSON.stringify(section) + renderSections([section])).not.toContain(signature.slice(0, 20));
    expect(await look(token)).toEqual(section);
  });

  test.each([
    { rule: "nothing", token: jwt({ alg: "ES256", kid: "k", typ: "JWT" }, svid), broken: [] },
    { rule: "an algorithm", token: jwt({ alg: "EdDSA" }, svid), broken: ["J1"] },
    { rule: "no algorithm", token: jwt({ alg: "none" }, svid), broken: ["J1"] },
    { rule: "a type", token: jwt({ alg: "ES256", typ: "at+jwt" }, svid), broken: ["J2"] },
    { rule: "a header", token: jwt({ alg: "ES256", jku: "https://a" }, svid), broken: ["J2"] },
    { rule: "no audience", token: jwt({ alg: "ES256" }, { ...svid, aud: [] }), broken: ["J3"] },
    { rule: "no end", token: jwt({ alg: "ES256" }, { ...svid, exp: undefined }), broken: ["J3"] },
    { rule: "an ID that is none", token: jwt({ alg: "ES256" }, { ...svid, sub: "spiffe://a//b" }), broken: ["I3"] },
    { rule: "what the CA refuses", token: jwt({ alg: "HS256", jwk: {} }, { iss: "a" }), broken: ["CA", "CA", "CA"] },
  ])("that are JWT-SVIDs or others break $rule", async ({ token, broken }) => {
    expect(rulesOf(await look(token))).toEqual(broken);
  });
});

describe("private keys are refused, and nothing of them is told", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const jwk = privateKey.export({ format: "jwk" });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  test.each([
    { form: "PKCS#8 PEM", what: pem },
    {
      form: "SEC1 PEM behind its certificate",
      what: encodePem("CERTIFICATE", certificateDer()) + privateKey.export({ format: "pem", type: "sec1" }),
    },
    {
      form: "encrypted PEM",
      what: privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-128-cbc", passphrase: "a" }).toString(),
    },
    { form: "PEM that is cut short", what: pem.slice(0, 80) },
    { form: "PKCS#8 DER", what: privateKey.export({ format: "der", type: "pkcs8" }) },
    { form: "SEC1 DER", what: privateKey.export({ format: "der", type: "sec1" }) },
    { form: "PKCS#1 DER", what: rsa.export({ format: "der", type: "pkcs1" }) },
    { form: "JWK", what: jwk },
    { form: "JWK Set", what: { keys: [jwk] } },
    { form: "symmetric JWK", what: { keys: [{ kty: "oct", k: "c2VjcmV0" }] } },
    {
      form: "authority document",
      what: { version: 1, sequence: 1, authorities: [{ key: { kind: "plain", pkcs8: "AQID" } }] },
    },
    { form: "PEM inside of JSON", what: { certificateChain: [], key: pem } },
  ])("$form", async ({ what }) => {
    const error: unknown = await look(what as string).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "malformed-request",
      message: expect.stringMatching(/^it holds a private key/),
    });
    expect((error as Error).message).not.toMatch(new RegExp(`${jwk.d}|AQID|c2VjcmV0|MIG|MII`));
  });
});

test("of a text that only speaks of PEM, it is said which text", async () => {
  await expect(look("see -----BEGIN CERTIFICATE----- below")).rejects.toThrow(
    /^it cannot be inspected: .* no whole one$/,
  );
});

test.each([
  { rule: "nothing", what: "" },
  { rule: "text", what: "hello" },
  { rule: "other JSON", what: { a: 1 } },
  { rule: "a list", what: "[1]" },
  { rule: "JSON with a comment", what: "{ // a\n}" },
  { rule: "a PEM block of another kind", what: encodePem("PUBLIC KEY", Uint8Array.of(1)) },
  { rule: "a PEM block that does not end", what: "-----BEGIN CERTIFICATE-----\nMIIB\n" },
  { rule: "other DER", what: sequence(tlv(2, Uint8Array.of(1))) },
  { rule: "a token that is none", what: "a.b.c" },
])("$rule cannot be inspected, and is not quoted", async ({ what }) => {
  const error: unknown = await look(what as string).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "SignetError", code: expect.stringMatching(/^malformed-/) });
  expect((error as Error).message).not.toMatch(/hello|MIIB/);
});
