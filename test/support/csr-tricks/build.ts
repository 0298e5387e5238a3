import { type KeyObject, sign } from "node:crypto";
import { bitString, DerReader, explicit, octetString, oid, sequence, setOf, Tag, tlv } from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { encodePem } from "@signet/shared/pem";
import { makeKey, publicKeyDer, uriName } from "../csr.ts";

/** A CSR that no tool would make by mistake. */
export interface Trick {
  readonly rule: string;
  /** What the CA says to it. */
  readonly code: "malformed-csr" | "csr-not-allowed" | "key-not-allowed" | "identity-not-entitled";
  readonly pem: () => string;
}

/** A CSR that looks odd and is good. */
export interface Oddity {
  readonly rule: string;
  readonly pem: () => string;
}

export const ownId = "spiffe://cluster.local/ns/foo/sa/sleep";
export const sampleKey = oddKey();
export const bytes = (...values: number[]) => Uint8Array.from(values);
export const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

// With one parity, so that no other reader comes to another end today than yesterday.
function oddKey(): KeyObject {
  for (;;) {
    const key = makeKey();
    if ((publicKeyDer(key).at(-1) ?? 0) % 2 === 1) return key;
  }
}

export interface Parts {
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly publicKey?: Uint8Array;
  /** The whole value, its tag included. */
  readonly attributes?: Uint8Array;
  /** Instead of all of the above. */
  readonly info?: Uint8Array;
  readonly algorithm?: Uint8Array;
  /** Changes the bytes of the signature. */
  readonly signature?: (good: Uint8Array) => Uint8Array;
  /** The bit string around the signature. */
  readonly signatureValue?: (signature: Uint8Array) => Uint8Array;
  /** Changes the whole. */
  readonly whole?: (der: Uint8Array) => Uint8Array;
  readonly key?: KeyObject;
}

export const ecdsa = sequence(oid(Oid.ecdsaWithSha256));
export const version = tlv(Tag.integer, bytes(0));

/** A CSR in DER whose signature is right for what it says, but for what is told otherwise. */
export function csrDer(parts: Parts): Uint8Array {
  const { key = sampleKey, algorithm = ecdsa } = parts;
  const info =
    parts.info ??
    sequence(
      parts.version ?? version,
      parts.subject ?? sequence(),
      parts.publicKey ?? publicKeyDer(key),
      parts.attributes ?? explicit(0),
    );
  const good = sign(key.asymmetricKeyType === "ed25519" ? null : "sha256", info, key);
  const signature = parts.signature?.(good) ?? good;
  const der = sequence(info, algorithm, parts.signatureValue?.(signature) ?? bitString(signature));
  return parts.whole?.(der) ?? der;
}

export const csr = (parts: Parts): string => encodePem("CERTIFICATE REQUEST", csrDer(parts));

/** Attributes with one request for these extensions. */
export const requesting = (...extensions: readonly Uint8Array[]): Uint8Array =>
  explicit(0, sequence(oid(Oid.extensionRequest), setOf(sequence(...extensions))));

/** A request for one extension, whose value is put in as it is. */
export const extending = (id: string, value: Uint8Array): Uint8Array =>
  requesting(sequence(oid(id), octetString(value)));

/** A request for these GeneralNames. */
export const naming = (...names: readonly Uint8Array[]): Uint8Array =>
  extending(Oid.subjectAltName, sequence(...names));

export const namingOwn = naming(uriName(ownId));

/** The same value under a length of so many bytes more than it needs. */
export function longLength(value: Uint8Array, zeros = 0): Uint8Array {
  const { contents } = new DerReader(value).any();
  const length = contents.length > 0xff ? [contents.length >> 8, contents.length & 0xff] : [contents.length];
  const shortest = contents.length > 0x7f ? zeros + 1 : zeros;
  const padded = [...Array<number>(shortest).fill(0), ...length];
  return join(bytes(value[0] ?? 0, 0x80 | padded.length, ...padded), contents);
}

/** The same value in BER's indefinite form. */
export function indefinite(value: Uint8Array, tag = value[0] ?? 0): Uint8Array {
  return join(bytes(tag, 0x80), new DerReader(value).any().contents, bytes(0, 0));
}

/** So many sequences inside each other. */
export function nested(depth: number): Uint8Array {
  let value: Uint8Array = tlv(Tag.null);
  for (let n = 0; n < depth; n++) value = sequence(value);
  return value;
}
