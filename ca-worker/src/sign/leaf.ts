import {
  bitString,
  boolean,
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
import { Oid } from "@signet/shared/oids";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import type { Signer } from "../crypto.ts";
import { leafKeyUsage, type ParsedPublicKey } from "../types.ts";

/**
 * Whom a leaf is for: a workload, and the DNS names that it has beside its ID (mostly none), or the CA's own server under
 * its DNS names (at least one). They are in lower case.
 */
export interface LeafName {
  readonly spiffeId?: SpiffeId;
  readonly dnsNames: readonly string[];
}

/** All that differs from one leaf to the next. Times are whole seconds since the epoch. */
export interface LeafFields {
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: ParsedPublicKey;
  /** SHA-256 of the public key's bits. */
  readonly publicKeyHash: Uint8Array;
  readonly name: LeafName;
}

const version3 = explicit(0, tlv(Tag.integer, Uint8Array.of(2)));
const emptyName = sequence();
const text = new TextEncoder();

const signatureAlgorithms = {
  p256: sequence(oid(Oid.ecdsaWithSha256)),
  p384: sequence(oid(Oid.ecdsaWithSha384)),
} as const satisfies Record<Signer["kind"], Uint8Array>;

const extension = (id: string, critical: boolean, value: Uint8Array): Uint8Array =>
  critical ? sequence(oid(id), boolean(true), octetString(value)) : sequence(oid(id), octetString(value));

// X509-SVID §3.2, §4.1, §4.3 and §4.4: not a CA, key usage critical, both extended key usages.
const notCa = extension(Oid.basicConstraints, true, sequence());
const serverAndClient = extension(Oid.extendedKeyUsage, false, sequence(oid(Oid.serverAuth), oid(Oid.clientAuth)));
// A server's certificate vouches for no workload, so it is no SVID and no client either.
const serverOnly = extension(Oid.extendedKeyUsage, false, sequence(oid(Oid.serverAuth)));
const usageOf = (kind: PublicKeyKind): Uint8Array => extension(Oid.keyUsage, true, namedBits(...leafKeyUsage(kind)));
const rsaUsage = usageOf("rsa");
const otherUsage = usageOf("p256");
const subjectKeyIdentifierOid = oid(Oid.subjectKeyIdentifier);
const subjectAltNameOid = oid(Oid.subjectAltName);
const critical = boolean(true);

/**
 * Writes leaves of one issuer (RFC 5280 §4.1). What does not change is encoded here once; an issuance fills in serial,
 * validity, key and SAN. The subject is empty, so the SAN is critical (X509-SVID §2).
 */
export function leafWriter(
  kind: Signer["kind"],
  issuerName: Uint8Array,
  issuerKeyIdentifier: Uint8Array,
): {
  tbs(fields: LeafFields): Uint8Array<ArrayBuffer>;
  certificate(tbs: Uint8Array, signature: Uint8Array): Uint8Array<ArrayBuffer>;
} {
  const algorithm = signatureAlgorithms[kind];
  const authorityKeyIdentifier = extension(
    Oid.authorityKeyIdentifier,
    false,
    sequence(tlv(contextTag(0, false), issuerKeyIdentifier)),
  );
  return {
    tbs: ({ serial, notBefore, notAfter, publicKey, publicKeyHash, name }) =>
      sequence(
        version3,
        unsignedInteger(serial),
        algorithm,
        issuerName,
        sequence(time(notBefore), time(notAfter)),
        emptyName,
        publicKey.spki,
        explicit(
          3,
          sequence(
            notCa,
            publicKey.kind === "rsa" ? rsaUsage : otherUsage,
            name.spiffeId === undefined ? serverOnly : serverAndClient,
            // RFC 7093 §2, method 1: the leftmost 160 bits of the SHA-256.
            sequence(subjectKeyIdentifierOid, octetString(octetString(publicKeyHash.subarray(0, 20)))),
            authorityKeyIdentifier,
            sequence(subjectAltNameOid, critical, octetString(sequence(...generalNames(name)))),
          ),
        ),
      ),
    certificate: (tbs, signature) => sequence(tbs, algorithm, bitString(signature)),
  };
}

/** RFC 5280 §4.2.1.6. */
function generalNames({ spiffeId, dnsNames }: LeafName): Uint8Array[] {
  const names = dnsNames.map((dnsName) => tlv(contextTag(2, false), text.encode(dnsName)));
  return spiffeId === undefined ? names : [tlv(contextTag(6, false), text.encode(spiffeId.toString())), ...names];
}
