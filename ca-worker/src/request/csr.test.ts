import { execFileSync } from "node:child_process";
import { sign as nodeSign } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { bitString, explicit, namedBits, oid, sequence, setOf, Tag, tlv } from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import { encodePem } from "@signet/shared/pem";
import { publicKeyKinds } from "@signet/shared/public-key";
import { afterAll, describe, expect, test } from "vitest";
import { extension, makeCsr, makeKey, publicKeyDer } from "../../../test/support/csr.ts";
import { oracles, readByPeculiar } from "../../../test/support/csr-oracles.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { webCrypto } from "../webcrypto.ts";
import { readCsr } from "./csr.ts";

const id = "spiffe://cluster.local/ns/foo/sa/sleep";
const read = (pem: string) => readCsr(pem, publicKeyKinds, nodeCrypto);
const hexOf = (bytes: Uint8Array | ArrayBuffer) => Buffer.from(bytes as Uint8Array).toString("hex");

describe("CSRs that openssl makes", () => {
  const folder = mkdtempSync(join(tmpdir(), "signet-csr-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

  // Making an RSA key takes longer than all the rest.
  const keyFileOf = ({ kind, genpkey }: { readonly kind: string; readonly genpkey: readonly string[] }) => {
    const file = join(folder, `${kind}.pem`);
    if (!existsSync(file)) openssl("genpkey", "-algorithm", ...genpkey, "-out", file);
    return file;
  };
  const keys = [
    { kind: "p256", genpkey: ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] },
    { kind: "p384", genpkey: ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"] },
    { kind: "ed25519", genpkey: ["ED25519"] },
    { kind: "rsa", genpkey: ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] },
  ] as const;
  const contents = [
    { name: "no subject", args: ["-subj", "/"] },
    { name: "a long subject", args: ["-subj", "/C=DE/O=Signet/OU=a/OU=b/CN=sleep.foo"] },
    { name: "a subject in UTF-8", args: ["-utf8", "-subj", "/CN=schl\u00e4fer"] },
    { name: "its SPIFFE ID", args: ["-subj", "/", "-addext", `subjectAltName=URI:${id}`], uris: [id] },
    {
      name: "all that a leaf has",
      args: [
        "-subj",
        "/",
        "-addext",
        `subjectAltName=critical,URI:${id}`,
        "-addext",
        "keyUsage=critical,digitalSignature",
        "-addext",
        "extendedKeyUsage=serverAuth,clientAuth",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
      ],
      uris: [id],
    },
  ] as const;
  const cases = keys.flatMap((key) => contents.map((content) => ({ ...key, ...content })));

  test.each(cases)("$kind with $name: the key and the URIs that @peculiar/x509 and openssl see", async (one) => {
    const keyFile = keyFileOf(one);
    const pem = openssl("req", "-new", "-key", keyFile, ...one.args);
    const csr = await read(pem);
    expect(csr.publicKey.kind).toBe(one.kind);
    expect(csr.uris).toEqual("uris" in one ? one.uris : []);
    expect(encodePem("PUBLIC KEY", csr.publicKey.spki)).toBe(openssl("pkey", "-in", keyFile, "-pubout"));
    expect(readByPeculiar(pem)).toEqual({ uris: csr.uris, spki: hexOf(csr.publicKey.spki) });
    expect(await oracles["@peculiar/x509"](pem)).toBe(true);
    expect((await readCsr(pem, publicKeyKinds, webCrypto)).publicKey).toEqual(csr.publicKey);
  });

  test.each(["sha384", "sha512"])("RSA with %s", async (hash) => {
    const pem = openssl("req", "-new", `-${hash}`, "-key", keyFileOf(keys[3]), "-subj", "/");
    expect((await read(pem)).publicKey.kind).toBe("rsa");
  });

  test.each([
    {
      rule: "explicit curve parameters",
      args: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
      code: "key-not-allowed",
    },
    { rule: "secp256k1", args: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], code: "key-not-allowed" },
    { rule: "Ed448", args: ["-newkey", "ed448"], code: "key-not-allowed" },
    { rule: "RSA-PSS", args: ["-newkey", "rsa-pss"], code: "malformed-csr" },
    {
      rule: "an RSA key signed with PSS",
      args: ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"],
      code: "malformed-csr",
    },
    { rule: "RSA with SHA-1", args: ["-sha1", "-newkey", "rsa:2048"], code: "malformed-csr" },
    {
      rule: "P-256 with SHA-512",
      args: ["-sha512", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      code: "malformed-csr",
    },
    { rule: "a DNS name", args: ["-newkey", "ed25519", "-addext", "subjectAltName=DNS:a"], code: "csr-not-allowed" },
    {
      rule: "a subject key identifier",
      args: ["-newkey", "ed25519", "-addext", "subjectKeyIdentifier=hash"],
      code: "csr-not-allowed",
    },
    {
      rule: "code signing",
      args: ["-newkey", "ed25519", "-addext", "extendedKeyUsage=codeSigning"],
      code: "csr-not-allowed",
    },
  ])("refuse $rule", async ({ args, code }) => {
    const pem = openssl("req", "-new", ...args, "-nodes", "-keyout", "/dev/null", "-subj", "/");
    await expect(read(pem)).rejects.toMatchObject({ code });
  });
});

describe("CSRs that @peculiar/x509 makes", () => {
  test.each([
    { kind: "p256", algorithm: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } },
    { kind: "p384", algorithm: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" } },
    { kind: "ed25519", algorithm: { name: "Ed25519" } },
    {
      kind: "rsa",
      algorithm: {
        name: "RSASSA-PKCS1-v1_5",
        hash: "SHA-256",
        modulusLength: 2_048,
        publicExponent: Uint8Array.of(1, 0, 1),
      },
    },
  ])("$kind, with and without its SPIFFE ID", async ({ kind, algorithm }) => {
    const keys = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
    const spki = hexOf(await crypto.subtle.exportKey("spki", keys.publicKey));
    for (const uris of [[], [id]]) {
      const extensions = uris.map((value) => new SubjectAlternativeNameExtension([{ type: "url", value }]));
      const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm, extensions });
      const csr = await read(request.toString("pem"));
      expect({ kind: csr.publicKey.kind, spki: hexOf(csr.publicKey.spki), uris: csr.uris }).toEqual({
        kind,
        spki,
        uris,
      });
    }
  });
});

describe("what a CSR may be", () => {
  test.each([
    { rule: "P-256 with SHA-384", pem: () => resign(makeKey("p256"), "sha384", sequence(oid(Oid.ecdsaWithSha384))) },
    { rule: "P-384 with SHA-256", pem: () => resign(makeKey("p384"), "sha256", sequence(oid(Oid.ecdsaWithSha256))) },
    {
      rule: "keyEncipherment for RSA",
      pem: () =>
        makeCsr({
          key: makeKey("rsa2048"),
          extensions: [usage(KeyUsageBit.digitalSignature, KeyUsageBit.keyEncipherment)],
        }),
    },
  ])("take $rule", async ({ pem }) => {
    expect((await read(pem())).uris).toEqual([]);
  });

  test("only kinds of key that are allowed", async () => {
    const pem = makeCsr({ key: makeKey("p384") });
    await expect(readCsr(pem, ["p256", "ed25519", "rsa"], nodeCrypto)).rejects.toMatchObject({
      code: "key-not-allowed",
    });
    expect((await readCsr(pem, ["p384"], nodeCrypto)).publicKey.kind).toBe("p384");
  });

  test.each<{ rule: string; pem: () => string; code: string }>([
    {
      rule: "an RSA algorithm without its NULL",
      pem: () => resign(makeKey("rsa2048"), "sha256", sequence(oid(Oid.sha256WithRsa))),
      code: "malformed-csr",
    },
    {
      rule: "a signature algorithm that nobody knows",
      pem: () => resign(makeKey(), "sha256", sequence(oid("1.2.3.4"))),
      code: "malformed-csr",
    },
    {
      rule: "a mail address as the second of two parts of an RDN",
      pem: () => makeCsr({ subject: sequence(setOf(part("2.5.4.3"), part(Oid.emailAddress))) }),
      code: "csr-not-allowed",
    },
  ])("refuse $rule: $code", async ({ pem, code }) => {
    await expect(read(pem())).rejects.toMatchObject({ name: "SignetError", code });
  });
});

const usage = (...bits: number[]) => extension(Oid.keyUsage, true, namedBits(...bits));
const part = (type: string) => sequence(oid(type), tlv(Tag.utf8String, Uint8Array.of(0x61)));

/** A CSR that is signed with this hash and says that it is signed with this algorithm. */
function resign(key: ReturnType<typeof makeKey>, hash: string, algorithm: Uint8Array): string {
  const info = sequence(tlv(Tag.integer, Uint8Array.of(0)), sequence(), publicKeyDer(key), explicit(0));
  return encodePem("CERTIFICATE REQUEST", sequence(info, algorithm, bitString(nodeSign(hash, info, key))));
}
