import "reflect-metadata";
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { toBase64 } from "@signet/shared/base64";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { webCrypto } from "../webcrypto.ts";
import type { AuthorityDocument } from "./document.ts";
import { loadActiveAuthority, rootsOf } from "./load.ts";
import { makeAuthority } from "./make/authority.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const start = Date.parse("2026-11-24T12:00:00Z") / 1000;
type Algorithm = EcKeyGenParams | RsaHashedKeyGenParams | { name: "Ed25519" };
const p256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const p384 = { name: "ECDSA", namedCurve: "P-384" } as const;
const rsa = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2_048,
  publicExponent: Uint8Array.of(1, 0, 1),
};

interface CaOptions {
  readonly name: string;
  readonly issuer?: Ca;
  /** Signs in place of the issuer's key. */
  readonly signWith?: Ca;
  readonly issuerName?: string;
  readonly algorithm?: Algorithm;
  readonly hash?: string;
  readonly pathLength?: number;
  readonly isCa?: boolean;
  readonly usages?: KeyUsageFlags;
  readonly without?: "basicConstraints" | "keyUsage" | "subjectKeyIdentifier";
  readonly lifeSeconds?: number;
}
interface Ca {
  readonly name: string;
  readonly keys: CryptoKeyPair;
  readonly pem: string;
  readonly pkcs8: string;
}

async function makeCa(options: CaOptions): Promise<Ca> {
  const { name, issuer, algorithm = p256, hash = "SHA-256", pathLength, isCa = true, lifeSeconds = 86_400 } = options;
  const keys = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const signer = (options.signWith ?? issuer)?.keys ?? keys;
  const extensions: Record<NonNullable<CaOptions["without"]>, Extension> = {
    basicConstraints: new BasicConstraintsExtension(isCa, pathLength, true),
    keyUsage: new KeyUsagesExtension(options.usages ?? KeyUsageFlags.keyCertSign, true),
    subjectKeyIdentifier: await SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
  };
  if (options.without !== undefined) delete (extensions as Partial<typeof extensions>)[options.without];
  const certificate = await X509CertificateGenerator.create(
    {
      subject: `CN=${name}`,
      issuer: `CN=${options.issuerName ?? issuer?.name ?? name}`,
      serialNumber: "01",
      notBefore: new Date(start * 1000),
      notAfter: new Date((start + lifeSeconds) * 1000),
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: { ...signer.privateKey.algorithm, hash } as EcdsaParams,
      extensions: Object.values(extensions),
    },
    crypto,
  );
  const pkcs8 = toBase64(new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey)));
  return { name, keys, pem: `${certificate.toString("pem")}\n`, pkcs8 };
}

const documentOf = (chain: readonly Ca[], pkcs8 = chain[0]?.pkcs8 ?? ""): AuthorityDocument => ({
  version: 1,
  sequence: 1,
  authorities: [{ id: "a", state: "active", chain: chain.map(({ pem }) => pem), key: { kind: "plain", pkcs8 } }],
});

describe.each([
  { platform: "node:crypto", crypto: nodeCrypto },
  { platform: "WebCrypto", crypto: webCrypto },
])("load the authority that signs, with $platform", ({ crypto: platform }) => {
  const load = (chain: readonly Ca[], pkcs8?: string) =>
    loadActiveAuthority(documentOf(chain, pkcs8), trustDomain, platform);
  let root: Ca;
  let middle: Ca;
  let issuing: Ca;
  let other: Ca;
  beforeAll(async () => {
    root = await makeCa({ name: "root", lifeSeconds: 5_000 });
    middle = await makeCa({ name: "middle", issuer: root, pathLength: 1 });
    issuing = await makeCa({ name: "issuing", issuer: middle, pathLength: 0, lifeSeconds: 9_000 });
    other = await makeCa({ name: "root" });
  });

  test("one that `authority init` makes", async () => {
    const { document } = await makeAuthority({ trustDomain, now: start });
    const authority = await loadActiveAuthority(document, trustDomain, platform);
    expect(authority).toMatchObject({ id: "issuing-20261124", notBefore: start - 300, notAfter: start + 365 * 86_400 });
    expect(authority.chain).toEqual(document.authorities[0]?.chain.slice(0, 1));
    expect(authority.publicKey.kind).toBe("p256");
  });

  test("a chain of three: the root is left out, the narrowest times count", async () => {
    const authority = await load([issuing, middle, root]);
    expect(authority.chain).toEqual([issuing.pem, middle.pem]);
    expect(authority).toMatchObject({ notBefore: start, notAfter: start + 5_000 });
    expect(authority.keyIdentifier).toHaveLength(20);
  });

  test.each<{ name: string; root: Partial<CaOptions>; issuing: Partial<CaOptions>; kind: string }>([
    {
      name: "P-384 with SHA-384",
      root: { algorithm: p384, hash: "SHA-384" },
      issuing: { algorithm: p384, hash: "SHA-384" },
      kind: "p384",
    },
    { name: "an RSA root with SHA-256", root: { algorithm: rsa }, issuing: {}, kind: "p256" },
    {
      name: "a root that allows as many as there are",
      root: { pathLength: 1 },
      issuing: { pathLength: 0 },
      kind: "p256",
    },
  ])("$name", async ({ root: rootOptions, issuing: issuingOptions, kind }) => {
    const top = await makeCa({ name: "top", ...rootOptions });
    const authority = await load([await makeCa({ name: "below", issuer: top, ...issuingOptions }), top]);
    expect(authority.publicKey.kind).toBe(kind);
    expect(authority.signer.kind).toBe(kind);
  });

  test.each<{ rule: string; chain: () => Promise<Ca[]> | Ca[]; pkcs8?: () => string }>([
    { rule: "the root first", chain: () => [root, middle, issuing] },
    { rule: "a certificate left out", chain: () => [issuing, root] },
    { rule: "two in the wrong order", chain: () => [middle, issuing, root] },
    { rule: "no root at its end", chain: () => [issuing, middle] },
    { rule: "a root of the same name and another key", chain: () => [middle, other] },
    {
      rule: "a root that is not its own issuer",
      chain: async () => [issuing, await makeCa({ name: "middle", issuerName: "root" })],
    },
    {
      rule: "a signature by another key",
      chain: async () => [await makeCa({ name: "x", issuer: root, signWith: other }), root],
    },
    {
      rule: "an issuer of another name",
      chain: async () => [await makeCa({ name: "x", issuer: root, issuerName: "y" }), root],
    },
    {
      rule: "an issuing certificate that is no CA",
      chain: async () => [await makeCa({ name: "x", issuer: root, isCa: false }), root],
    },
    {
      rule: "no basic constraints",
      chain: async () => [await makeCa({ name: "x", issuer: root, without: "basicConstraints" }), root],
    },
    { rule: "no key usage", chain: async () => [await makeCa({ name: "x", issuer: root, without: "keyUsage" }), root] },
    {
      rule: "a key usage without keyCertSign",
      chain: async () => [await makeCa({ name: "x", issuer: root, usages: KeyUsageFlags.digitalSignature }), root],
    },
    {
      rule: "no subject key identifier",
      chain: async () => [await makeCa({ name: "x", issuer: root, without: "subjectKeyIdentifier" }), root],
    },
    {
      rule: "a root that is no CA",
      chain: async () => {
        const top = await makeCa({ name: "top", isCa: false });
        return [await makeCa({ name: "x", issuer: top }), top];
      },
    },
    {
      rule: "a root whose path length is exceeded",
      chain: async () => {
        const top = await makeCa({ name: "top", pathLength: 0 });
        return [await makeCa({ name: "x", issuer: top }), top];
      },
    },
    {
      rule: "an intermediate whose path length is exceeded",
      chain: async () => {
        const narrow = await makeCa({ name: "narrow", issuer: root, pathLength: 0 });
        return [await makeCa({ name: "x", issuer: narrow }), narrow, root];
      },
    },
    {
      rule: "an RSA key to sign leaves with",
      chain: async () => [await makeCa({ name: "x", issuer: root, algorithm: rsa }), root],
    },
    {
      rule: "an Ed25519 root",
      chain: async () => {
        const top = await makeCa({ name: "top", algorithm: { name: "Ed25519" } });
        return [await makeCa({ name: "x", issuer: top }), top];
      },
    },
    { rule: "a certificate that is none", chain: () => [{ ...issuing, pem: "issuing" }, middle, root] },
    { rule: "two certificates in one element", chain: () => [{ ...issuing, pem: issuing.pem + middle.pem }, root] },
    { rule: "a key that is another thing", chain: () => [issuing, middle, root], pkcs8: () => "AQID" },
    { rule: "a key with stray bits", chain: () => [issuing, middle, root], pkcs8: () => "AR==" },
    { rule: "no key", chain: () => [issuing, middle, root], pkcs8: () => "" },
  ])("refuse $rule", async ({ chain, pkcs8 }) => {
    await expect(load(await chain(), pkcs8?.())).rejects.toMatchObject({
      name: "SignetError",
      code: "authority-invalid",
    });
  });

  test("what is told of a bad key holds nothing of it", async () => {
    const { pkcs8 } = await makeCa({ name: "x", algorithm: p384 });
    const error: unknown = await load([issuing, middle, root], pkcs8).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "authority-invalid" });
    for (let at = error; at instanceof Error; at = at.cause) {
      expect(at.message).not.toContain(pkcs8.slice(40, 52));
      expect(at.name).toBe("SignetError");
    }
  });

  test("no active authority: cannot-sign", async () => {
    const document = documentOf([issuing, middle, root]);
    const authorities = document.authorities.map((entry) => ({ ...entry, state: "retiring" as const }));
    await expect(loadActiveAuthority({ ...document, authorities }, trustDomain, platform)).rejects.toMatchObject({
      code: "cannot-sign",
    });
  });

  test("the authorities that do not sign are not looked into", async () => {
    const document = documentOf([issuing, middle, root]);
    const [active] = document.authorities;
    const broken = { id: "b", state: "retiring", chain: ["x", "y"], key: { kind: "plain", pkcs8: "" } } as const;
    const authorities = active === undefined ? [] : [{ ...broken, chain: [...broken.chain] }, active];
    expect((await loadActiveAuthority({ ...document, authorities }, trustDomain, platform)).id).toBe("a");
  });

  test("roots: of every state, each once, in the order of the document, in one form", () => {
    const entry = (id: string, state: "active" | "prepared" | "retiring" | "tainted", last: Ca) => ({
      id,
      state,
      chain: [issuing.pem, last.pem.replaceAll("\n", "\r\n")],
      key: { kind: "plain" as const, pkcs8: "" },
    });
    const authorities = [entry("a", "tainted", other), entry("b", "active", root), entry("c", "prepared", root)];
    expect(rootsOf({ version: 1, sequence: 1, authorities })).toEqual([other.pem, root.pem]);
    expect(rootsOf({ version: 1, sequence: 1, authorities: [] })).toEqual([]);
  });
});
