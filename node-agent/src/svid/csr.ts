import {
  bitString,
  boolean,
  contextTag,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
  unsignedInteger,
} from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { encodePem } from "@signet/shared/pem";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import type { KeyPair } from "./key.ts";

const version = unsignedInteger(Uint8Array.of(0));
const noSubject = sequence();
const extensionRequest = oid(Oid.extensionRequest);
const subjectAltName = oid(Oid.subjectAltName);
const critical = boolean(true);
const ecdsaWithSha256 = sequence(oid(Oid.ecdsaWithSha256));
const uriName = contextTag(6, false);
const ascii = new TextEncoder();

/**
 * A PKCS#10 request (RFC 2986 §4) in PEM: no subject, the SPIFFE ID as its only name, so that a CA of another opinion
 * about the trust domain refuses it instead of signing something that nobody asked for.
 */
export function createCsr(key: KeyPair, spiffeId: SpiffeId): string {
  const name = tlv(uriName, ascii.encode(spiffeId.toString()));
  const extensions = sequence(sequence(subjectAltName, critical, octetString(sequence(name))));
  const attributes = tlv(contextTag(0, true), sequence(extensionRequest, setOf(extensions)));
  const info = sequence(version, noSubject, key.publicKey, attributes);
  return encodePem("CERTIFICATE REQUEST", sequence(info, ecdsaWithSha256, bitString(key.sign(info))));
}
