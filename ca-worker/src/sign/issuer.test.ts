import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
} from "@peculiar/x509";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { DerReader } from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { makeKey, publicKeyDer } from "../../../test/support/csr.ts";
import { type Authority, loadActiveAuthority } from "../authority/load.ts";
import { makeAuthority } from "../authority/make/authority.ts";
import type { Crypto } from "../crypto.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { readPublicKey } from "../request/public-key.ts";
import { webCrypto } from "../webcrypto.ts";
import { createLeafIssuer, type LeafContents } from "./issuer.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const start = Date.parse("2026-11-24T12:00:00Z") / 1000;
const day = 86_400;
const { document } = await makeAuthority({ trustDomain, now: start, issuingLifeSeconds: 30 * day });
const authority = await loadActiveAuthority(document, trustDomain, nodeCrypto);

function grant(
  kind: "p256" | "p384" | "ed25519" | "rsa2048" = "p256",
  ttlSeconds = 3_600,
  path = "/ns/foo/sa/sleep",
): LeafContents {
  return {
    spiffeId: SpiffeId.parse(trustDomain.id + path),
    dnsNames: [],
    publicKey: readPublicKey(new DerReader(publicKeyDer(makeKey(kind)))),
    ttlSeconds,
  };
}

/** An issuer whose clock the test sets. */
async function bench(changes: Partial<Authority> = {}, crypto: Crypto = nodeCrypto, now = start) {
  const time = { now };
  const issuer = await createLeafIssuer({ ...authority, ...changes }, crypto, () => time.now);
  return { time, issuer };
}

describe.each([
  { platform: "node:crypto", crypto: nodeCrypto },
  { platform: "WebCrypto", crypto: webCrypto },
])("a leaf signed by $platform says what was granted, as others read it", ({ crypto }) => {
  test.each(["p256", "p384", "ed25519", "rsa2048"] as const)("a key of %s", async (kind) => {
    const { issuer } = await bench({}, crypto);
    const granted = grant(kind);
    const issued = await issuer.prepare(granted).sign();
    const times = { notBefore: start - 60, notAfter: start + 3_600 };
    expect(issued).toMatchObject(times);

    const leaf = new X509Certificate(issued.der.slice());
    expect(leaf.serialNumber.replace(/^0+/, "")).toBe(issued.serialNumber);
    expect(leaf.notBefore.getTime() / 1000).toBe(times.notBefore);
    expect(leaf.notAfter.getTime() / 1000).toBe(times.notAfter);
    expect(leaf.subject).toBe("");
    expect(Buffer.from(leaf.publicKey.rawData)).toEqual(Buffer.from(granted.publicKey.spki));
    expect(leaf.extensions).toHaveLength(6);
    const critical = leaf.extensions.filter((one) => one.critical).map(({ type }) => type);
    expect(critical.sort()).toEqual([Oid.basicConstraints, Oid.keyUsage, Oid.subjectAltName].sort());
    expect(leaf.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: false, pathLength: undefined });
    expect(leaf.getExtension(KeyUsagesExtension)?.usages).toBe(
      kind === "rsa2048"
        ? KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment
        : KeyUsageFlags.digitalSignature,
    );
    expect(leaf.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual([Oid.serverAuth, Oid.clientAuth]);
    expect(leaf.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: "url", value: granted.spiffeId.toString() },
    ]);
    const issuing = new X509Certificate(authority.chain[0] ?? "");
    expect(leaf.issuer).toBe(issuing.subject);
    expect(leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId).toBe(
      issuing.getExtension(SubjectKeyIdentifierExtension)?.keyId,
    );
    // RFC 7093 §2, method 1.
    const keyHash = Buffer.from(await crypto.sha256(granted.publicKey.keyBits.slice()))
      .subarray(0, 20)
      .toString("hex");
    expect(leaf.getExtension(SubjectKeyIdentifierExtension)?.keyId).toBe(keyHash);
    expect(await leaf.verify({ publicKey: issuing, signatureOnly: true })).toBe(true);

    const node = new NodeCertificate(issued.der);
    const nodeIssuing = new NodeCertificate(authority.chain[0] ?? "");
    expect(node.checkIssued(nodeIssuing)).toBe(true);
    expect(node.verify(nodeIssuing.publicKey)).toBe(true);
    expect(node).toMatchObject({
      ca: false,
      subjectAltName: `URI:${granted.spiffeId}`,
      keyUsage: [Oid.serverAuth, Oid.clientAuth],
    });

    expect(readSvid(parseCertificate(issued.der)).equals(granted.spiffeId)).toBe(true);
  });
});

describe("a leaf", () => {
  test("of the longest identity that there is", async () => {
    const { issuer } = await bench();
    const granted = grant("p256", 60, `/${"x".repeat(2_048 - trustDomain.id.length - 1)}`);
    const { der } = await issuer.prepare(granted).sign();
    expect(new NodeCertificate(der).subjectAltName).toBe(`URI:${granted.spiffeId}`);
  });

  test("has the DNS names that were granted beside its identity, after it", async () => {
    const { issuer } = await bench();
    const granted = { ...grant(), dnsNames: ["sleep.foo.svc", `${"a".repeat(63)}.svc.cluster.local`] };
    const { der } = await issuer.prepare(granted).sign();
    expect(new X509Certificate(der.slice()).getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: "url", value: granted.spiffeId.toString() },
      ...granted.dnsNames.map((value) => ({ type: "dns", value })),
    ]);
    expect(readSvid(parseCertificate(der)).equals(granted.spiffeId)).toBe(true);
    // X509-SVID §4.3: still for both sides of a connection.
    expect(parseCertificate(der).extendedKeyUsage).toEqual([Oid.serverAuth, Oid.clientAuth]);
  });

  test("of a serial with zeros in front, with its top bit, or both", async () => {
    for (const serial of [
      "00ff0102030405060708090a0b0c0d0e",
      "ff000102030405060708090a0b0c0d0e",
      "000000000000000000000000000000ff",
    ]) {
      const crypto: Crypto = { ...nodeCrypto, random: () => Uint8Array.from(Buffer.from(serial, "hex")) };
      const { issuer } = await bench({}, crypto);
      const { der, serialNumber } = await issuer.prepare(grant()).sign();
      expect(serialNumber).toBe(serial.replace(/^0+/, ""));
      expect(parseCertificate(der).serialNumber).toBe(serialNumber);
      expect(new NodeCertificate(der).serialNumber.toLowerCase().replace(/^0+/, "")).toBe(serialNumber);
    }
  });

  test("takes its serial from the generator: 16 bytes, drawn anew each time", async () => {
    const drawn: number[] = [];
    const crypto: Crypto = {
      ...nodeCrypto,
      random(length) {
        drawn.push(length);
        return new Uint8Array(length).fill(drawn.length);
      },
    };
    const { issuer } = await bench({}, crypto);
    expect((await issuer.prepare(grant()).sign()).serialNumber).toBe(`2${"02".repeat(15)}`);
    expect((await issuer.prepare(grant()).sign()).serialNumber).toBe(`3${"03".repeat(15)}`);
    expect(drawn).toEqual([16, 16, 16]);
  });

  test("of a P-384 authority is signed with SHA-384", async () => {
    const key = makeKey("p384");
    const pkcs8 = Uint8Array.from(key.export({ format: "der", type: "pkcs8" }));
    const { issuer } = await bench({
      signer: await nodeCrypto.importSigner("p384", pkcs8),
      publicKey: readPublicKey(new DerReader(publicKeyDer(key))),
    });
    const { der } = await issuer.prepare(grant()).sign();
    expect(parseCertificate(der).signatureAlgorithm).toBe(Oid.ecdsaWithSha384);
    const { createPublicKey } = await import("node:crypto");
    expect(new NodeCertificate(der).verify(createPublicKey(key))).toBe(true);
  });

  test("of a time after 2049", async () => {
    const future = Date.parse("2049-12-31T23:59:30Z") / 1000;
    const { issuer } = await bench({ notAfter: future + day }, nodeCrypto, future);
    const { der } = await issuer.prepare(grant()).sign();
    const node = new NodeCertificate(der);
    expect(Date.parse(node.validFrom) / 1000).toBe(future - 60);
    expect(Date.parse(node.validTo) / 1000).toBe(future + 3_600);
  });
});

describe("the times of a leaf", () => {
  const end = authority.notAfter;
  test.each([
    { rule: "60 s back, for clocks that are slow", now: start, ttl: 600, notBefore: start - 60, notAfter: start + 600 },
    {
      rule: "fractions of a second are cut off",
      now: start + 0.9,
      ttl: 600,
      notBefore: start - 60,
      notAfter: start + 600,
    },
    {
      rule: "never before its authority",
      now: authority.notBefore + 10,
      ttl: 600,
      notBefore: authority.notBefore,
      notAfter: authority.notBefore + 610,
    },
    { rule: "to its authority's end and no further", now: end - 100, ttl: 600, notBefore: end - 160, notAfter: end },
    { rule: "exactly to its authority's end", now: end - 600, ttl: 600, notBefore: end - 660, notAfter: end },
    { rule: "the last second", now: end - 1, ttl: 600, notBefore: end - 61, notAfter: end },
  ])("$rule", async ({ now, ttl, notBefore, notAfter }) => {
    const { issuer, time } = await bench();
    time.now = now;
    const issued = await issuer.prepare(grant("p256", ttl)).sign();
    expect(issued).toMatchObject({ notBefore, notAfter });
    expect(parseCertificate(issued.der)).toMatchObject({ notBefore, notAfter });
  });

  test("are those of the narrowest certificate of the chain", async () => {
    const made = await makeAuthority({ trustDomain, now: start, rootLifeSeconds: 100, issuingLifeSeconds: 30 * day });
    const narrow = await loadActiveAuthority(made.document, trustDomain, nodeCrypto);
    expect(narrow.notAfter).toBe(start + 100);
    const issuer = await createLeafIssuer(narrow, nodeCrypto, () => start);
    expect(await issuer.prepare(grant()).sign()).toMatchObject({ notAfter: start + 100 });
  });

  test.each([
    { rule: "at the end of its authority", now: end },
    { rule: "long after it", now: end + day },
    { rule: "before its authority begins", now: authority.notBefore - 1 },
  ])("nothing is signed $rule: cannot-sign", async ({ now }) => {
    const { issuer, time } = await bench();
    time.now = now;
    expect(() => issuer.prepare(grant())).toThrow(
      expect.objectContaining({ name: "SignetError", code: "cannot-sign" }),
    );
    // And no issuer is made then, since it could not try itself.
    await expect(bench({}, nodeCrypto, now)).rejects.toMatchObject({ code: "authority-invalid" });
  });
});

describe("an issuer tries itself before it signs for anybody", () => {
  test("refuse a key that does not fit its certificate", async () => {
    const pkcs8 = Uint8Array.from(makeKey().export({ format: "der", type: "pkcs8" }));
    const signer = await nodeCrypto.importSigner("p256", pkcs8);
    await expect(bench({ signer })).rejects.toMatchObject({ code: "authority-invalid" });
  });

  test("refuse a signer that answers with something else", async () => {
    const signer = { kind: "p256", sign: () => new Uint8Array(64) } as const;
    await expect(bench({ signer })).rejects.toMatchObject({ code: "authority-invalid" });
  });

  test("a signer that fails is cannot-sign, with a time to come back", async () => {
    let works = true;
    const { signer } = authority;
    const { issuer } = await bench({
      signer: {
        kind: "p256",
        sign(data) {
          if (works) return signer.sign(data);
          throw new TypeError("the KMS is down");
        },
      },
    });
    works = false;
    await expect(issuer.prepare(grant()).sign()).rejects.toMatchObject({ code: "cannot-sign", retryAfterSeconds: 5 });
    works = true;
    await issuer.prepare(grant()).sign();
  });
});
