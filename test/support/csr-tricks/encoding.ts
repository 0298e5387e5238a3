import {
  bitString,
  boolean,
  contextTag,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  tlv,
} from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { caFalse, commonName, extension, publicKeyDer, uriName } from "../csr.ts";
import {
  bytes,
  csr,
  csrDer,
  ecdsa,
  extending,
  indefinite,
  join,
  longLength,
  naming,
  namingOwn,
  nested,
  ownId,
  requesting,
  sampleKey,
  type Trick,
  version,
} from "./build.ts";

const malformed = "malformed-csr" as const;
const spki = publicKeyDer(sampleKey);
const usage = (value: Uint8Array) => extending(Oid.keyUsage, value);
const info = (...more: Uint8Array[]) => sequence(version, sequence(), spki, explicit(0), ...more);

/** What a strict reader of DER refuses (X.690 §10 and §11). */
export const encodingTricks: readonly Trick[] = [
  {
    rule: "an indefinite length of the whole",
    code: malformed,
    pem: () => csr({ whole: (der) => indefinite(der) }),
  },
  {
    rule: "an indefinite length of the signed part",
    code: malformed,
    pem: () => csr({ info: indefinite(info()) }),
  },
  {
    rule: "an indefinite length in the subject",
    code: malformed,
    pem: () => csr({ subject: indefinite(commonName("a")) }),
  },
  {
    rule: "an indefinite length of the attributes",
    code: malformed,
    pem: () => csr({ attributes: indefinite(namingOwn) }),
  },
  {
    rule: "an indefinite length in an extension",
    code: malformed,
    pem: () => csr({ attributes: extending(Oid.subjectAltName, indefinite(sequence(uriName(ownId)))) }),
  },
  {
    rule: "an indefinite length that never ends",
    code: malformed,
    pem: () => csr({ whole: (der) => join(bytes(0x30, 0x80), der.subarray(4)) }),
  },
  {
    rule: "a length in more bytes than it needs",
    code: malformed,
    pem: () => csr({ whole: (der) => longLength(der) }),
  },
  {
    rule: "a short length in the long form",
    code: malformed,
    pem: () => csr({ subject: longLength(commonName("a")) }),
  },
  {
    rule: "a length with zeros before it",
    code: malformed,
    pem: () => csr({ attributes: longLength(namingOwn, 2) }),
  },
  { rule: "a length of four bytes", code: malformed, pem: () => csr({ whole: (der) => longLength(der, 2) }) },
  {
    rule: "a length of 126 bytes",
    code: malformed,
    pem: () => csr({ whole: () => join(bytes(0x30, 0xfe), new Uint8Array(126)) }),
  },
  {
    rule: "a length that is reserved",
    code: malformed,
    pem: () => csr({ whole: (der) => bytes(0x30, 0xff, ...der.subarray(4)) }),
  },
  {
    rule: "a length beyond the end",
    code: malformed,
    pem: () => csr({ whole: (der) => der.with(3, (der[3] ?? 0) + 1) }),
  },
  {
    rule: "a length beyond all memory",
    code: malformed,
    pem: () => csr({ whole: (der) => bytes(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, ...der.subarray(4)) }),
  },
  { rule: "no more than a tag", code: malformed, pem: () => csr({ whole: () => bytes(0x30) }) },
  { rule: "an empty sequence", code: malformed, pem: () => csr({ whole: () => sequence() }) },
  { rule: "an end that is cut off", code: malformed, pem: () => csr({ whole: (der) => der.subarray(0, -1) }) },
  { rule: "a tag number over 30", code: malformed, pem: () => csr({ attributes: bytes(0xbf, 0x20, 0x00) }) },
  {
    rule: "a byte after the end",
    code: malformed,
    pem: () => csr({ whole: (der) => join(der, bytes(0)) }),
  },
  {
    rule: "another CSR after the end",
    code: malformed,
    pem: () => csr({ whole: (der) => join(der, csrDer({})) }),
  },
  {
    rule: "a value after the signature",
    code: malformed,
    pem: () => csr({ whole: () => sequence(info(), ecdsa, bitString(bytes(1)), tlv(Tag.null)) }),
  },
  { rule: "a value after the attributes", code: malformed, pem: () => csr({ info: info(tlv(Tag.null)) }) },
  {
    rule: "a value after the key",
    code: malformed,
    pem: () => csr({ info: sequence(version, sequence(), spki, tlv(Tag.null), explicit(0)) }),
  },
  {
    rule: "a value inside the key, after it",
    code: malformed,
    pem: () => csr({ publicKey: join(bytes(0x30, (spki[1] ?? 0) + 2), spki.subarray(2), tlv(Tag.null)) }),
  },
  {
    rule: "a value after the algorithm's name",
    code: malformed,
    pem: () => csr({ algorithm: sequence(oid(Oid.ecdsaWithSha256), tlv(Tag.null), tlv(Tag.null)) }),
  },
  {
    rule: "a byte after the names",
    code: malformed,
    pem: () => csr({ attributes: extending(Oid.subjectAltName, join(sequence(uriName(ownId)), bytes(0))) }),
  },
  {
    rule: "a value after the extensions",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, sequence(oid(Oid.extensionRequest), setOf(sequence(), tlv(Tag.null)))) }),
  },
  {
    rule: "a value after an attribute's values",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, sequence(oid(Oid.extensionRequest), setOf(sequence()), tlv(Tag.null))) }),
  },
  {
    rule: "a version with a zero before it",
    code: malformed,
    pem: () => csr({ version: tlv(Tag.integer, bytes(0, 0)) }),
  },
  { rule: "a version without a byte", code: malformed, pem: () => csr({ version: tlv(Tag.integer) }) },
  {
    rule: "version 2",
    code: malformed,
    pem: () => csr({ version: tlv(Tag.integer, bytes(1)) }),
  },
  {
    rule: "a negative version",
    code: malformed,
    pem: () => csr({ version: tlv(Tag.integer, bytes(0xff)) }),
  },
  {
    rule: "TRUE as 01",
    code: malformed,
    pem: () => csr({ attributes: extending(Oid.basicConstraints, sequence(tlv(Tag.boolean, bytes(1)))) }),
  },
  {
    rule: "cA FALSE written out",
    code: malformed,
    pem: () => csr({ attributes: extending(Oid.basicConstraints, sequence(boolean(false))) }),
  },
  {
    rule: "critical FALSE written out",
    code: malformed,
    pem: () =>
      csr({ attributes: requesting(sequence(oid(Oid.basicConstraints), boolean(false), octetString(sequence()))) }),
  },
  {
    rule: "an object identifier with padding",
    code: malformed,
    pem: () =>
      csr({ attributes: requesting(sequence(tlv(Tag.oid, bytes(0x55, 0x1d, 0x80, 0x13)), octetString(sequence()))) }),
  },
  {
    rule: "an object identifier that ends early",
    code: malformed,
    pem: () => csr({ attributes: requesting(sequence(tlv(Tag.oid, bytes(0x55, 0x9d)), octetString(sequence()))) }),
  },
  {
    rule: "an empty object identifier",
    code: malformed,
    pem: () => csr({ attributes: requesting(sequence(tlv(Tag.oid), octetString(sequence()))) }),
  },
  {
    rule: "an object identifier of 40 bytes in one arc",
    code: malformed,
    pem: () =>
      csr({
        attributes: requesting(
          sequence(tlv(Tag.oid, join(bytes(0x55), new Uint8Array(40).fill(0xff), bytes(1))), octetString(sequence())),
        ),
      }),
  },
  {
    rule: "key usage with zeros at its end",
    code: malformed,
    pem: () => csr({ attributes: usage(tlv(Tag.bitString, bytes(0, 0x80))) }),
  },
  {
    rule: "key usage with unused bits that are set",
    code: malformed,
    pem: () => csr({ attributes: usage(tlv(Tag.bitString, bytes(7, 0x81))) }),
  },
  {
    rule: "key usage with eight unused bits",
    code: malformed,
    pem: () => csr({ attributes: usage(tlv(Tag.bitString, bytes(8, 0x80))) }),
  },
  {
    rule: "a signature of a bit less than whole bytes",
    code: malformed,
    pem: () => csr({ signatureValue: (some) => tlv(Tag.bitString, join(bytes(1), some)) }),
  },
  {
    rule: "a signature in an octet string",
    code: malformed,
    pem: () => csr({ signatureValue: (some) => octetString(some) }),
  },
  {
    rule: "a signature in two pieces",
    code: malformed,
    pem: () =>
      csr({ signatureValue: (some) => tlv(0x23, bitString(some.subarray(0, 8)), bitString(some.subarray(8))) }),
  },
  {
    rule: "an extension's value in two pieces",
    code: malformed,
    pem: () =>
      csr({
        attributes: requesting(sequence(oid(Oid.keyUsage), tlv(0x24, octetString(namedBits(0)), octetString(bytes())))),
      }),
  },
  {
    rule: "attributes without the constructed bit",
    code: malformed,
    pem: () => csr({ attributes: tlv(contextTag(0, false)) }),
  },
  { rule: "attributes under another number", code: malformed, pem: () => csr({ attributes: explicit(1) }) },
  {
    rule: "an extension's value without its octet string",
    code: malformed,
    pem: () => csr({ attributes: requesting(sequence(oid(Oid.keyUsage), namedBits(0))) }),
  },
  {
    rule: "a set where the sequence of extensions belongs",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, sequence(oid(Oid.extensionRequest), setOf(setOf(caFalse)))) }),
  },
  { rule: "100 sequences inside each other as a CSR", code: malformed, pem: () => csr({ whole: () => nested(100) }) },
  {
    rule: "4,000 sequences inside each other as a CSR",
    code: malformed,
    pem: () => csr({ whole: () => nested(1_900) }),
  },
  { rule: "100 sequences inside each other as the subject", code: malformed, pem: () => csr({ subject: nested(100) }) },
  {
    rule: "100 sequences inside each other as the names",
    code: "csr-not-allowed",
    pem: () => csr({ attributes: naming(tlv(contextTag(0, true), nested(100))) }),
  },
  {
    rule: "100 sequences inside each other as an extension that nobody knows",
    code: "csr-not-allowed",
    pem: () => csr({ attributes: requesting(extension("1.2.3.4", false, nested(100))) }),
  },
  {
    rule: "100 sequences inside each other as an attribute that nobody knows",
    code: "csr-not-allowed",
    pem: () => csr({ attributes: explicit(0, sequence(oid("1.2.3.4"), setOf(nested(100)))) }),
  },
  {
    rule: "100 sequences inside each other as basic constraints",
    code: malformed,
    pem: () => csr({ attributes: extending(Oid.basicConstraints, nested(100)) }),
  },
];
