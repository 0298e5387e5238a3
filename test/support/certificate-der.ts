import {
  bitString,
  contextTag,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import { caFalse, commonName, extension, makeKey, publicKeyDer, uriName } from "./csr.ts";

export const leafId = "spiffe://cluster.local/ns/foo/sa/sleep";
export const ecdsaWithSha256 = sequence(oid(Oid.ecdsaWithSha256));
export const keyUsage = (...bits: readonly number[]) => extension(Oid.keyUsage, true, namedBits(...bits));
export const extendedKeyUsage = (...ids: readonly string[]) =>
  extension(Oid.extendedKeyUsage, false, sequence(...ids.map(oid)));
export const subjectAltName = (critical: boolean, ...names: readonly Uint8Array[]) =>
  extension(Oid.subjectAltName, critical, sequence(...names));

/** Extensions of a good X509-SVID, each by its name so that a test can take one out or put another in its place. */
const svidExtensions = {
  basicConstraints: caFalse,
  keyUsage: keyUsage(KeyUsageBit.digitalSignature),
  extendedKeyUsage: extendedKeyUsage(Oid.serverAuth, Oid.clientAuth),
  subjectKeyIdentifier: extension(Oid.subjectKeyIdentifier, false, octetString(Uint8Array.of(1, 2, 3))),
  authorityKeyIdentifier: extension(
    Oid.authorityKeyIdentifier,
    false,
    sequence(tlv(contextTag(0, false), Uint8Array.of(4, 5, 6))),
  ),
  subjectAltName: subjectAltName(true, uriName(leafId)),
} as const;
export type SvidExtensions = { readonly [Name in keyof typeof svidExtensions]: Uint8Array | undefined };

const publicKey = publicKeyDer(makeKey());

/** The parts of a Certificate (RFC 5280 §4.1) in their order; what is not said is good. */
export interface CertificateParts {
  readonly version: Uint8Array;
  readonly serial: Uint8Array;
  /** In the signed part and outside of it. */
  readonly algorithms: readonly [Uint8Array, Uint8Array];
  readonly issuer: Uint8Array;
  readonly validity: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly extensions: Uint8Array;
  /** What follows in the signed part. */
  readonly tbsTail: Uint8Array;
  readonly signature: Uint8Array;
  /** What follows the signature. */
  readonly tail: Uint8Array;
}

/** A certificate, good or deliberately bad. Its signature is of nobody: this is for readers that do not verify. */
export function certificateDer(parts: Partial<CertificateParts> = {}): Uint8Array<ArrayBuffer> {
  const nothing = new Uint8Array();
  const [inner, outer] = parts.algorithms ?? [ecdsaWithSha256, ecdsaWithSha256];
  const tbs = sequence(
    parts.version ?? explicit(0, tlv(Tag.integer, Uint8Array.of(2))),
    parts.serial ?? unsignedInteger(Uint8Array.of(0xc0, 0xff, 0xee)),
    inner,
    parts.issuer ?? commonName("issuer"),
    parts.validity ?? sequence(time(1_700_000_000), time(1_700_003_600)),
    parts.subject ?? sequence(),
    parts.publicKey ?? publicKey,
    parts.extensions ?? extensions(),
    parts.tbsTail ?? nothing,
  );
  return sequence(tbs, outer, parts.signature ?? bitString(Uint8Array.of(7, 7)), parts.tail ?? nothing);
}

/** The extensions of an SVID with changes: undefined takes one out, `more` come behind. */
export function extensions(
  changes: Partial<SvidExtensions> = {},
  ...more: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const all: SvidExtensions = { ...svidExtensions, ...changes };
  const list = Object.values(all).filter((one): one is Uint8Array => one !== undefined);
  return explicit(3, sequence(...list, ...more));
}
