import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import {
  bitString,
  boolean,
  contextTag,
  explicit,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  tlv,
} from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { encodePem } from "@signet/shared/pem";

export type KeyKind = "p256" | "p384" | "p521" | "ed25519" | "rsa1024" | "rsa2048" | "rsa8192" | "rsaExponent3";

export interface CsrOptions {
  readonly key?: KeyObject;
  readonly uris?: readonly string[];
  /** GeneralNames as they are, beside the URIs. */
  readonly names?: readonly Uint8Array[];
  /** Extensions as they are, beside the SAN. */
  readonly extensions?: readonly Uint8Array[];
  /** RDNs as they are. */
  readonly subject?: Uint8Array;
  /** Attributes as they are, beside the extension request. */
  readonly attributes?: readonly Uint8Array[];
  /** Changes the finished DER. */
  readonly spoil?: (der: Uint8Array) => Uint8Array;
  /** Signs with another key than the one in it. */
  readonly signWith?: KeyObject;
}

const text = new TextEncoder();

export const uriName = (uri: string) => tlv(contextTag(6, false), text.encode(uri));
export const dnsName = (name: string) => tlv(contextTag(2, false), text.encode(name));
export const mailName = (name: string) => tlv(contextTag(1, false), text.encode(name));
export const ipName = (...bytes: number[]) => tlv(contextTag(7, false), Uint8Array.from(bytes));
export const extension = (id: string, critical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
export const caTrue = extension(Oid.basicConstraints, true, sequence(boolean(true)));
export const caFalse = extension(Oid.basicConstraints, true, sequence());
export const commonName = (name: string) => rdn("2.5.4.3", name);
export const rdn = (id: string, value: string) =>
  sequence(setOf(sequence(oid(id), tlv(Tag.utf8String, text.encode(value)))));

/** A PKCS#10 attribute with one text as its value. */
export const attribute = (id: string, value: string) =>
  sequence(oid(id), setOf(tlv(Tag.utf8String, text.encode(value))));

export function makeKey(kind: KeyKind = "p256"): KeyObject {
  if (kind === "ed25519") return generateKeyPairSync("ed25519").privateKey;
  if (kind === "rsaExponent3") return generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 }).privateKey;
  if (kind.startsWith("rsa")) return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(3)) }).privateKey;
  const namedCurve = { p256: "P-256", p384: "P-384", p521: "P-521" }[kind as "p256" | "p384" | "p521"];
  return generateKeyPairSync("ec", { namedCurve }).privateKey;
}

/** A PKCS#10 request in PEM, good or deliberately bad. */
export function makeCsr(options: CsrOptions = {}): string {
  const key = options.key ?? makeKey();
  const names = [...(options.uris ?? []).map(uriName), ...(options.names ?? [])];
  const extensions = [
    ...(names.length > 0 ? [extension(Oid.subjectAltName, false, sequence(...names))] : []),
    ...(options.extensions ?? []),
  ];
  const attributes = [
    ...(extensions.length > 0 ? [sequence(oid(Oid.extensionRequest), setOf(sequence(...extensions)))] : []),
    ...(options.attributes ?? []),
  ];
  const spki = publicKeyDer(key);
  const info = sequence(
    tlv(Tag.integer, Uint8Array.of(0)),
    options.subject ?? sequence(),
    spki,
    explicit(0, ...attributes),
  );
  const signer = options.signWith ?? key;
  const { identifier, hash } = algorithmOf(signer);
  const der = sequence(info, identifier, bitString(sign(hash, info, signer)));
  return encodePem("CERTIFICATE REQUEST", options.spoil?.(der) ?? der);
}

/** SubjectPublicKeyInfo of a private key's public half. */
export function publicKeyDer(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: "der", type: "spki" });
}

function algorithmOf(key: KeyObject): { identifier: Uint8Array; hash: string | null } {
  if (key.asymmetricKeyType === "ed25519") return { identifier: sequence(oid(Oid.ed25519)), hash: null };
  if (key.asymmetricKeyType === "rsa")
    return { identifier: sequence(oid(Oid.sha256WithRsa), tlv(Tag.null)), hash: "sha256" };
  const p384 = key.asymmetricKeyDetails?.namedCurve === "secp384r1";
  return {
    identifier: sequence(oid(p384 ? Oid.ecdsaWithSha384 : Oid.ecdsaWithSha256)),
    hash: p384 ? "sha384" : "sha256",
  };
}
