import { createHash, createPublicKey } from "node:crypto";
import { toHex } from "@signet/shared/base64";
import { readBasicConstraints, readOids } from "@signet/shared/certificate";
import { contextTag, DerReader, Tag } from "@signet/shared/der";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { Oid } from "@signet/shared/oids";

/** An extension, or an extension that a CSR asks for, as it lies there. */
export interface RawExtension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Extensions for somebody to look at: what cannot be read is told, and keeps nothing else from being read. */
export interface ReadExtensions {
  readonly basicConstraints: ReturnType<typeof readBasicConstraints> | undefined;
  readonly keyUsage: { readonly critical: boolean; readonly bits: readonly boolean[] } | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: { readonly critical: boolean; readonly names: readonly AltName[] } | undefined;
  readonly subjectKeyIdentifier: string | undefined;
  readonly authorityKeyIdentifier: string | undefined;
  /** Ids of others, with what is wrong about them. */
  readonly others: readonly string[];
  readonly faults: readonly string[];
}

export interface AltName {
  readonly kind: "URI" | "DNS" | "IP" | "mail" | "other";
  readonly text: string;
}

/** Reads the Extensions of RFC 5280 §4.1, one by one. */
export function readExtensionList(list: DerReader): RawExtension[] {
  const extensions: RawExtension[] = [];
  while (!list.done) {
    const extension = list.enter();
    const id = extension.oid();
    const critical = extension.peek() === Tag.boolean && extension.boolean();
    extensions.push({ id, critical, value: extension.octetString() });
  }
  return extensions;
}

export function readExtensions(list: readonly RawExtension[]): ReadExtensions {
  const faults: string[] = [];
  const ids = list.map(({ id }) => id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) {
    faults.push(`extension ${id} stands twice (RFC 5280 §4.2)`);
  }
  const read = <T>(id: string, reading: (body: DerReader, critical: boolean) => T): T | undefined => {
    const extension = list.find((one) => one.id === id);
    if (extension === undefined) return undefined;
    try {
      return reading(new DerReader(extension.value), extension.critical);
    } catch (error) {
      faults.push(`extension ${id} cannot be read: ${asSignetError(error, "malformed-der").message}`);
      return undefined;
    }
  };
  const known = new Set<string>(Object.values(Oid));
  return {
    basicConstraints: read(Oid.basicConstraints, readBasicConstraints),
    keyUsage: read(Oid.keyUsage, (body, critical) => ({ critical, bits: body.namedBits() })),
    extendedKeyUsage: read(Oid.extendedKeyUsage, readOids),
    subjectAltName: read(Oid.subjectAltName, (body, critical) => ({ critical, names: readNames(body) })),
    subjectKeyIdentifier: read(Oid.subjectKeyIdentifier, (body) => toHex(body.octetString())),
    authorityKeyIdentifier: read(Oid.authorityKeyIdentifier, (body) => {
      const keyId = body.enter().optional(contextTag(0, false));
      return keyId && toHex(keyId.contents);
    }),
    others: list.filter(({ id }) => !known.has(id)).map(({ id, critical }) => (critical ? `${id} (critical)` : id)),
    faults,
  };
}

const altNameKinds: Readonly<Record<number, AltName["kind"]>> = {
  [contextTag(1, false)]: "mail",
  [contextTag(2, false)]: "DNS",
  [contextTag(6, false)]: "URI",
  [contextTag(7, false)]: "IP",
};

function readNames(body: DerReader): AltName[] {
  const list = body.enter();
  const names: AltName[] = [];
  while (!list.done) {
    const { tag, contents } = list.any();
    const kind = altNameKinds[tag] ?? "other";
    names.push({ kind, text: kind === "IP" ? ipText(contents) : kind === "other" ? `tag ${tag}` : latin1(contents) });
  }
  return names;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  return bytes.length === 16 ? (toHex(bytes).match(/.{4}/g) ?? []).join(":") : `${bytes.length} bytes`;
}

const attributeNames: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "2.5.4.45": "x500UniqueIdentifier",
  "0.9.2342.19200300.100.1.25": "DC",
  [Oid.emailAddress]: "emailAddress",
};

/** A Name (RFC 5280 §4.1.2.4) on one line, in the order in which it stands. */
export function nameText(der: Uint8Array): string {
  const names = new DerReader(der).enter();
  const parts: string[] = [];
  while (!names.done) {
    const set = names.enter(Tag.set);
    while (!set.done) {
      const attribute = set.enter();
      const id = attribute.oid();
      const { contents } = attribute.any();
      // Commas and equals signs of a value must not look like the name's own.
      parts.push(
        `${attributeNames[id] ?? id}=${Buffer.from(contents)
          .toString("utf8")
          .replace(/[,=+\\]/g, "\\$&")}`,
      );
    }
  }
  return parts.length === 0 ? "(empty)" : parts.join(", ");
}

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/** What kind of key a SubjectPublicKeyInfo holds, and its SHA-256. */
export function publicKeyText(spki: Uint8Array): string {
  const digest = `SHA-256 ${createHash("sha256").update(spki).digest("hex")}`;
  try {
    const { asymmetricKeyType: type = "unknown", asymmetricKeyDetails: details = {} } = createPublicKey({
      ...{ key: Buffer.from(spki), format: "der", type: "spki" },
    });
    const { namedCurve, modulusLength, publicExponent } = details;
    if (namedCurve !== undefined) return `EC ${curves[namedCurve] ?? namedCurve}, ${digest}`;
    if (modulusLength !== undefined)
      return `${type.toUpperCase()} ${modulusLength} bits, exponent ${publicExponent}, ${digest}`;
    return `${type}, ${digest}`;
  } catch {
    return `cannot be read as a public key, ${digest}`;
  }
}

const usageNames = [
  ...["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement"],
  ...["keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"],
];

export function keyUsageText({ keyUsage }: Pick<ReadExtensions, "keyUsage">): string | undefined {
  if (keyUsage === undefined) return undefined;
  const names = keyUsage.bits.flatMap((set, bit) => (set ? [usageNames[bit] ?? `bit ${bit}`] : []));
  return `${names.join(", ") || "nothing"}${keyUsage.critical ? " (critical)" : ""}`;
}

const purposes: Readonly<Record<string, string>> = {
  [Oid.serverAuth]: "serverAuth",
  [Oid.clientAuth]: "clientAuth",
  "1.3.6.1.5.5.7.3.3": "codeSigning",
  "1.3.6.1.5.5.7.3.4": "emailProtection",
  "1.3.6.1.5.5.7.3.9": "OCSPSigning",
  "2.5.29.37.0": "any",
};

export function extendedKeyUsageText({
  extendedKeyUsage,
}: Pick<ReadExtensions, "extendedKeyUsage">): string | undefined {
  return extendedKeyUsage?.map((id) => purposes[id] ?? id).join(", ");
}

export function altNameTexts({
  subjectAltName,
}: Pick<ReadExtensions, "subjectAltName">): readonly string[] | undefined {
  return subjectAltName?.names.map(({ kind, text }) => `${kind} ${text}`);
}

/** @throws SignetError `code` with what is wrong and what it is about */
export function readingDer<T>(code: "malformed-certificate" | "malformed-csr", what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = asSignetError(error, "malformed-der");
    throw new SignetError(code, `the ${what} cannot be read: ${message}`, { cause: error });
  }
}
