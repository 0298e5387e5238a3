import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { SeenBundle, SeenCertificate } from "@signet/node-agent/fetch/secrets";
import { verify } from "@signet/node-agent/fetch/verify";
import { encodePem } from "@signet/shared/pem";
import { expect, test } from "vitest";

const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const newKeys = () => crypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
const now = Math.floor(Date.now() / 1_000);
const date = (seconds: number) => new Date((now + seconds) * 1_000);
const { both, certSign, client, digital, server } = {
  both: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
  certSign: KeyUsageFlags.keyCertSign,
  client: [ExtendedKeyUsage.clientAuth],
  digital: KeyUsageFlags.digitalSignature,
  server: [ExtendedKeyUsage.serverAuth],
};

interface Parts {
  readonly uris?: readonly string[];
  readonly sanCritical?: boolean;
  readonly usage?: KeyUsageFlags | "none";
  readonly usageCritical?: boolean;
  readonly extended?: readonly string[];
  readonly isCa?: boolean;
  readonly start?: number;
  readonly end?: number;
  /** Of the intermediate. */
  readonly signer?: {
    readonly isCa?: boolean;
    readonly usage?: KeyUsageFlags;
    readonly uri?: string;
    readonly end?: number;
  };
  readonly rootPathLength?: number;
  readonly rootEnd?: number;
}

const id = "spiffe://cluster.local/ns/foo/sa/sleep";

/** A leaf, its intermediate and its root, with what a test wants wrong in them. */
async function makeIdentity(parts: Parts = {}) {
  const [rootKeys, signerKeys, leafKeys] = await Promise.all([newKeys(), newKeys(), newKeys()]);
  const { rootEnd = 86_400, rootPathLength, signer = {} } = parts;
  const root = await X509CertificateGenerator.createSelfSigned({
    name: "CN=root",
    keys: rootKeys,
    signingAlgorithm,
    notBefore: date(-86_400),
    notAfter: date(rootEnd),
    extensions: [new BasicConstraintsExtension(true, rootPathLength, true), new KeyUsagesExtension(certSign, true)],
  });
  const uriName = (uri: string) => ({ type: "url" as const, value: uri });
  const intermediate = await X509CertificateGenerator.create({
    subject: "CN=intermediate",
    issuer: root.subject,
    publicKey: signerKeys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm,
    notBefore: date(-86_400),
    notAfter: date(signer.end ?? 86_400),
    extensions: [
      new BasicConstraintsExtension(signer.isCa ?? true, undefined, true),
      new KeyUsagesExtension(signer.usage ?? certSign, true),
      ...(signer.uri === undefined ? [] : [new SubjectAlternativeNameExtension([uriName(signer.uri)])]),
    ],
  });
  const {
    extended = both,
    isCa = false,
    sanCritical = true,
    uris = [id],
    usage = digital,
    usageCritical = true,
  } = parts;
  const extensions: Extension[] = [new BasicConstraintsExtension(isCa, undefined, true)];
  if (usage !== "none") extensions.push(new KeyUsagesExtension(usage, usageCritical));
  if (extended.length > 0) extensions.push(new ExtendedKeyUsageExtension([...extended]));
  if (uris.length > 0) extensions.push(new SubjectAlternativeNameExtension(uris.map(uriName), sanCritical));
  const leaf = await X509CertificateGenerator.create({
    issuer: intermediate.subject,
    publicKey: leafKeys.publicKey,
    signingKey: signerKeys.privateKey,
    signingAlgorithm,
    notBefore: date(parts.start ?? -60),
    notAfter: date(parts.end ?? 3_600),
    extensions,
  });
  const read = ({ rawData }: { rawData: ArrayBuffer }) => new X509Certificate(Buffer.from(rawData));
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", leafKeys.privateKey);
  const certificate: SeenCertificate = {
    kind: "certificate",
    name: "default",
    version: "1",
    chain: [read(leaf), read(intermediate)],
    privateKeyPem: encodePem("PRIVATE KEY", new Uint8Array(pkcs8)),
  };
  return { certificate, bundle: bundleOf(read(root)) };
}

function bundleOf(root: X509Certificate, trustDomain?: string): SeenBundle {
  const form = trustDomain === undefined ? "trusted-ca" : "spiffe";
  return { kind: "bundle", name: "ROOTCA", version: "1", form, domains: [{ trustDomain, roots: [root] }] };
}

const faultsOf = (...given: Parameters<typeof verify>) =>
  verify(...given).flatMap(({ level, seen }) => (level === "ok" ? [] : [`${level} ${seen}`]));

test("an identity as it should be has no fault", async () => {
  const { bundle, certificate } = await makeIdentity();
  expect(faultsOf(certificate, bundle, now)).toEqual([]);
});

test.each<[string, Parts, string]>([
  ["no URI name", { uris: [] }, "fail X1 it has 0 URI names"],
  ["two URI names", { uris: [id, `${id}2`] }, "fail X1 it has 2 URI names"],
  ["a URI of another kind", { uris: ["https://example.com/x"] }, "fail X1 not a SPIFFE ID: the scheme"],
  ["no path", { uris: ["spiffe://cluster.local"] }, "fail X2 the SPIFFE ID has no path"],
  ["a CA as a leaf", { isCa: true }, "fail X2 the certificate is a CA's"],
  ["a name that is not critical", { sanCritical: false }, "fail X2 no subject, and the URI name is not critical"],
  ["no key usage", { usage: "none" }, "fail X3 key usage is missing"],
  ["key usage that is not critical", { usageCritical: false }, "fail X3 key usage is not critical"],
  ["no digitalSignature", { usage: KeyUsageFlags.keyAgreement }, "fail X3 key usage lacks digitalSignature"],
  ["keyCertSign", { usage: digital | certSign }, "fail X3 key usage has keyCertSign"],
  ["cRLSign", { usage: digital | KeyUsageFlags.cRLSign }, "fail X3 key usage has cRLSign"],
  ["no serverAuth", { extended: client }, "fail X4 serverAuth is missing"],
  ["no clientAuth", { extended: server }, "fail X4 clientAuth is missing"],
  ["a signer that is no CA", { signer: { isCa: false } }, "fail X5 certificate 2 of the chain is no CA"],
  [
    "a signer without keyCertSign",
    { signer: { usage: digital } },
    "fail X5 certificate 2 of the chain lacks keyCertSign",
  ],
  ["a workload as a signer", { signer: { uri: id } }, "fail X5 certificate 2 of the chain has a SPIFFE ID with a path"],
  ["a root that allows no CA below it", { rootPathLength: 0 }, "fail X6 the chain leads to no root"],
  ["a root that has ended", { rootEnd: -1 }, "fail X6 the root CN=root is not valid now"],
  ["a signer that has ended", { signer: { end: -5 } }, "fail certificate 2 of the chain expired 5s ago"],
  ["the past", { start: -7_200, end: -60 }, "fail the certificate expired 1m ago"],
  ["the future", { start: 120, end: 3_600 }, "fail the certificate is valid only in 2m"],
  ["a late renewal", { start: -3_600, end: 600 }, "warn the certificate ends in 10m and should have been renewed"],
])("%s", async (_what, parts, fault) => {
  const { bundle, certificate } = await makeIdentity(parts);
  const faults = faultsOf(certificate, bundle, now);
  expect(
    faults.some((one) => one.startsWith(fault)),
    faults.join("\n"),
  ).toBe(true);
});

test("extended key usage may be left out", async () => {
  const { bundle, certificate } = await makeIdentity({ extended: [] });
  expect(faultsOf(certificate, bundle, now)).toEqual([]);
});

test("another key, no key, no bundle, another CA's bundle, a bundle for another trust domain, a chain with a gap", async () => {
  const { bundle, certificate } = await makeIdentity();
  const other = await makeIdentity();
  const [leaf, intermediate] = certificate.chain;
  const [root] = bundle.domains[0]?.roots ?? [];
  const [theirs] = other.bundle.domains[0]?.roots ?? [];
  if (intermediate === undefined || root === undefined || theirs === undefined) throw new Error("incomplete");
  const otherKey = { ...certificate, privateKeyPem: other.certificate.privateKeyPem };
  expect(faultsOf(otherKey, bundle, now)).toEqual(["fail the private key is not the certificate's"]);
  const noKey = { ...certificate, privateKeyPem: "secret that is no key" };
  expect(faultsOf(noKey, bundle, now)).toEqual(["fail the private key cannot be read"]);
  expect(faultsOf(certificate, undefined, now)).toEqual(["fail X6 no bundle came to hold the chain against"]);
  expect(faultsOf(certificate, bundleOf(theirs), now)).toEqual(["fail X6 the chain leads to no root of the bundle"]);
  expect(faultsOf(certificate, bundleOf(root, "cluster.local"), now)).toEqual([]);
  expect(faultsOf(certificate, bundleOf(root, "elsewhere"), now)).toEqual([
    "fail X6 the bundle has no root for the trust domain cluster.local",
  ]);
  const gap = { ...certificate, chain: [leaf, ...other.certificate.chain.slice(1)] as const };
  expect(faultsOf(gap, bundle, now)).toEqual(["fail X6 certificate 2 of the chain did not sign the one before"]);
  expect(faultsOf({ ...certificate, chain: [leaf] }, bundle, now)).toEqual([
    "fail X6 the chain leads to no root of the bundle",
  ]);
});
