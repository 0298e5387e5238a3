import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { toHex } from "@signet/shared/base64";
import {
  bitString,
  boolean,
  contextTag,
  DerReader,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";

const encoder = new TextEncoder();

/** A key that signs certificates. */
export interface Authority {
  readonly der: Uint8Array;
  readonly name: Uint8Array;
  readonly key: KeyObject;
  /** Subject key identifier, lower-case hex. */
  readonly keyId: string;
}

const commonName = oid("2.5.4.3");
const ecdsaWithSha256 = sequence(oid(Oid.ecdsaWithSha256));
export const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const extension = (id: string, critical: boolean, value: Uint8Array) =>
  critical ? sequence(oid(id), boolean(true), octetString(value)) : sequence(oid(id), octetString(value));

/** @param issuer undefined for a root */
export function makeAuthority(name: string, now: number, issuer: Authority | undefined): Authority {
  const { privateKey, publicKey } = newKey();
  const keyId = randomBytes(20);
  const subject = sequence(setOf(sequence(commonName, tlv(Tag.utf8String, encoder.encode(name)))));
  const tbs = sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))),
    unsignedInteger(randomBytes(8)),
    ecdsaWithSha256,
    issuer?.name ?? subject,
    sequence(time(Math.floor(now) - 3_600), time(Math.floor(now) + 30 * 86_400)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    explicit(
      3,
      sequence(
        extension(Oid.basicConstraints, true, sequence(boolean(true))),
        extension(Oid.keyUsage, true, namedBits(KeyUsageBit.keyCertSign, KeyUsageBit.cRLSign)),
        extension(Oid.subjectKeyIdentifier, false, octetString(keyId)),
      ),
    ),
  );
  return { der: signTbs(tbs, issuer?.key ?? privateKey), name: subject, key: privateKey, keyId: toHex(keyId) };
}

export interface LeafParts {
  readonly issuer: Authority;
  readonly spiffeId: string;
  readonly publicKey: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

export function signLeaf({ issuer, spiffeId, publicKey, notBefore, notAfter }: LeafParts) {
  const serial = randomBytes(16);
  serial[0] = 0x7f;
  const tbs = sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))),
    unsignedInteger(serial),
    ecdsaWithSha256,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    sequence(),
    publicKey,
    explicit(
      3,
      sequence(
        extension(Oid.keyUsage, true, namedBits(KeyUsageBit.digitalSignature)),
        extension(Oid.extendedKeyUsage, false, sequence(oid(Oid.serverAuth), oid(Oid.clientAuth))),
        extension(Oid.subjectAltName, true, sequence(tlv(contextTag(6, false), encoder.encode(spiffeId)))),
      ),
    ),
  );
  return { der: signTbs(tbs, issuer.key), serial: toHex(serial) };
}

function signTbs(tbs: Uint8Array, key: KeyObject): Uint8Array {
  return sequence(tbs, ecdsaWithSha256, bitString(sign("sha256", tbs, key)));
}

/** The SubjectPublicKeyInfo of a PKCS#10 request. */
export function publicKeyOf(csr: Uint8Array): Uint8Array {
  const info = new DerReader(csr).enter().enter();
  info.integer();
  info.expect(Tag.sequence);
  return info.expect(Tag.sequence).bytes;
}
