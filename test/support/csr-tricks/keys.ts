import { bitString, DerReader, oid, sequence, Tag, tlv, unsignedInteger } from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { type KeyKind, makeKey, publicKeyDer } from "../csr.ts";
import { bytes, csr, join, type Oddity, sampleKey, type Trick } from "./build.ts";

const refused = "key-not-allowed" as const;
const malformed = "malformed-csr" as const;

/** Bytes of the sample key's point, without the 04 before them. */
const point = new DerReader(publicKeyDer(sampleKey)).enter();
point.expect(Tag.sequence);
const [, ...coordinates] = point.bitString();
const x = Uint8Array.from(coordinates.slice(0, 32));
const y = Uint8Array.from(coordinates.slice(32));

const ecKey = (curve: string, contents: Uint8Array) =>
  sequence(sequence(oid(Oid.ecPublicKey), oid(curve)), bitString(contents));
const p256 = (...contents: readonly (Uint8Array | number)[]) =>
  ecKey(Oid.p256, Uint8Array.from(contents.flatMap((part) => (typeof part === "number" ? [part] : [...part]))));
const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
// SEC 2 §2.4.2: the prime of P-256, and the x coordinate of its base point.
const prime = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
const ec = (rule: string, code: Trick["code"], publicKey: Uint8Array): Trick => ({
  rule,
  code,
  pem: () => csr({ publicKey }),
});

const rsaKey = (modulus: Uint8Array, exponent: Uint8Array, parameters: Uint8Array = tlv(Tag.null)) =>
  sequence(sequence(oid(Oid.rsaEncryption), parameters), bitString(sequence(modulus, exponent)));
const rsaSignature = sequence(oid(Oid.sha256WithRsa), tlv(Tag.null));
/** An odd number of so many bits, which nobody has the factors of. */
const number = (bits: number, last = 0x01) => {
  const value = new Uint8Array(Math.ceil(bits / 8)).fill(0xa5);
  value[0] = 0x80 >> ((8 - (bits % 8)) % 8);
  value[value.length - 1] = last;
  return unsignedInteger(value);
};
const f4 = unsignedInteger(bytes(1, 0, 1));
const rsa = (rule: string, code: Trick["code"], publicKey: Uint8Array): Trick => ({
  rule,
  code,
  pem: () => csr({ publicKey, algorithm: rsaSignature }),
});

const ed25519 = (contents: Uint8Array, parameters: readonly Uint8Array[] = []) =>
  sequence(sequence(oid(Oid.ed25519), ...parameters), bitString(contents));
/** Encodings of Ed25519's points of small order, as ge25519_has_small_order of libsodium has them. */
export const smallOrderPoints: readonly Uint8Array[] = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
].map(hex);

/** The neutral element as a key: OpenSSL 3.0 takes everybody's signature under it, 3.5 does not. */
const forgedKey = ed25519(smallOrderPoints[1] ?? bytes());

const forged = () =>
  csr({
    publicKey: forgedKey,
    algorithm: sequence(oid(Oid.ed25519)),
    // R is the neutral element and S is 0, so that S·B = R + h·A whatever was signed (RFC 8032 §5.1.7).
    signature: () => bytes(1, ...Array<number>(63).fill(0)),
  });

/** Keys that are none, or that Signet does not certify. */
export const keyTricks: readonly Trick[] = [
  ec("a point that is not on its curve", malformed, p256(4, x, y.with(31, (y[31] ?? 0) ^ 1))),
  ec("a compressed point", refused, p256(3, x)),
  ec("a hybrid point", refused, p256(7, x, y)),
  ec("the point at infinity", refused, p256(0)),
  ec("the point at infinity, filled up with zeros", refused, p256(0, new Uint8Array(64))),
  ec("the point 0, 0", malformed, p256(4, new Uint8Array(64))),
  ec("a coordinate that is the field's prime", malformed, p256(4, prime, y)),
  ec("coordinates of FF", malformed, p256(4, new Uint8Array(64).fill(0xff))),
  ec("a point without its last byte", refused, p256(4, x, y.subarray(0, -1))),
  ec("a point with a byte more", refused, p256(4, x, y, 0)),
  ec("no point", refused, p256()),
  ec("a P-256 point as one of P-384", refused, ecKey(Oid.p384, Uint8Array.of(4, ...x, ...y))),
  ec("secp256k1", refused, ecKey("1.3.132.0.10", Uint8Array.of(4, ...x, ...y))),
  ec("P-224", refused, ecKey("1.3.132.0.33", Uint8Array.of(4, ...x.subarray(4), ...y.subarray(4)))),
  ec("an EC key of no curve", refused, sequence(sequence(oid(Oid.ecPublicKey)), bitString(bytes(4, ...x, ...y)))),
  ec(
    "an EC key whose curve is NULL",
    refused,
    sequence(sequence(oid(Oid.ecPublicKey), tlv(Tag.null)), bitString(bytes(4, ...x, ...y))),
  ),
  ec(
    "an EC key whose curve is written out",
    refused,
    sequence(sequence(oid(Oid.ecPublicKey), sequence(tlv(Tag.integer, bytes(1)))), bitString(bytes(4, ...x, ...y))),
  ),
  ec(
    "an EC key with a value after its curve",
    malformed,
    sequence(sequence(oid(Oid.ecPublicKey), oid(Oid.p256), tlv(Tag.null)), bitString(bytes(4, ...x, ...y))),
  ),
  ec(
    "a key of a bit less than whole bytes",
    malformed,
    sequence(sequence(oid(Oid.ecPublicKey), oid(Oid.p256)), tlv(Tag.bitString, bytes(1, 4, ...x, ...y))),
  ),
  ec("a DSA key", refused, sequence(sequence(oid("1.2.840.10040.4.1")), bitString(bytes(2, 1, 1)))),
  ec("an X25519 key", refused, sequence(sequence(oid("1.3.101.110")), bitString(x))),
  ec("an Ed448 key", refused, sequence(sequence(oid("1.3.101.113")), bitString(join(x, x.subarray(0, 25))))),
  ec("an ML-DSA-44 key", refused, sequence(sequence(oid("2.16.840.1.101.3.4.3.17")), bitString(new Uint8Array(1_312)))),
  ec("an Ed25519 key of 31 bytes", refused, ed25519(x.subarray(1))),
  ec("an Ed25519 key of 33 bytes", refused, ed25519(join(x, bytes(0)))),
  ec("an Ed25519 key with parameters", malformed, ed25519(x, [tlv(Tag.null)])),
  { rule: "a key under which anybody can sign", code: refused, pem: forged },
  ...smallOrderPoints.flatMap((point, at) =>
    [0, 0x80].map((sign) =>
      ec(
        `Ed25519's point of small order ${at}, sign ${sign >> 7}`,
        refused,
        ed25519(point.with(31, (point[31] ?? 0) | sign)),
      ),
    ),
  ),
  rsa("RSA of 1024 bits", refused, rsaKey(number(1_024), f4)),
  rsa("RSA of 2047 bits", refused, rsaKey(number(2_047), f4)),
  rsa("RSA of 4097 bits", refused, rsaKey(number(4_097), f4)),
  rsa("RSA of 16 Kbit", refused, rsaKey(number(16_384), f4)),
  rsa("RSA with exponent 1", refused, rsaKey(number(2_048), unsignedInteger(bytes(1)))),
  rsa("RSA with exponent 3", refused, rsaKey(number(2_048), unsignedInteger(bytes(3)))),
  rsa("RSA with exponent 0", refused, rsaKey(number(2_048), unsignedInteger(bytes(0)))),
  rsa("RSA with exponent 65535", refused, rsaKey(number(2_048), unsignedInteger(bytes(0xff, 0xff)))),
  rsa("RSA with an even exponent", refused, rsaKey(number(2_048), unsignedInteger(bytes(1, 0, 2)))),
  rsa("RSA with an exponent of five bytes", refused, rsaKey(number(2_048), unsignedInteger(bytes(1, 0, 0, 0, 1)))),
  rsa("RSA with an exponent as long as its modulus", refused, rsaKey(number(2_048), number(2_048))),
  rsa("RSA with a negative exponent", refused, rsaKey(number(2_048), tlv(Tag.integer, bytes(0xff)))),
  rsa("RSA with an even modulus", refused, rsaKey(number(2_048, 0xa4), f4)),
  rsa("RSA with a modulus of 0", refused, rsaKey(unsignedInteger(bytes(0)), f4)),
  rsa("RSA with a negative modulus", refused, rsaKey(tlv(Tag.integer, new Uint8Array(256).fill(0xa5)), f4)),
  rsa(
    "RSA with a zero before its modulus",
    malformed,
    rsaKey(tlv(Tag.integer, join(bytes(0, 0), new Uint8Array(256).fill(0xa5))), f4),
  ),
  rsa("RSA without an exponent", malformed, rsaKey(number(2_048), new Uint8Array())),
  rsa("RSA with a value after its exponent", malformed, rsaKey(number(2_048), join(f4, tlv(Tag.null)))),
  rsa(
    "RSA with a byte after its numbers",
    malformed,
    sequence(sequence(oid(Oid.rsaEncryption), tlv(Tag.null)), bitString(join(sequence(number(2_048), f4), bytes(0)))),
  ),
  rsa(
    "RSA without parameters",
    malformed,
    sequence(sequence(oid(Oid.rsaEncryption)), bitString(sequence(number(2_048), f4))),
  ),
  rsa("RSA whose parameters are not NULL", malformed, rsaKey(number(2_048), f4, sequence())),
  rsa("RSA whose NULL is not empty", malformed, rsaKey(number(2_048), f4, tlv(Tag.null, bytes(0)))),
  rsa("RSA-PSS", refused, sequence(sequence(oid("1.2.840.113549.1.1.10")), bitString(sequence(number(2_048), f4)))),
];

/** Good keys of every kind. */
export const keyOddities: readonly Oddity[] = (["p256", "p384", "ed25519", "rsa2048"] as const).map(
  (kind: KeyKind) => ({
    rule: `a key of kind ${kind}`,
    pem: () => goodCsr(kind),
  }),
);

function goodCsr(kind: KeyKind): string {
  const algorithms: Partial<Record<KeyKind, Uint8Array>> = {
    ed25519: sequence(oid(Oid.ed25519)),
    rsa2048: rsaSignature,
  };
  const algorithm = algorithms[kind];
  return csr({ key: makeKey(kind), ...(algorithm !== undefined && { algorithm }) });
}
