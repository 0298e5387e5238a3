import { toHex } from "@signet/shared/base64";
import { bitString, DerReader, oid, sequence, Tag, tlv, unsignedInteger } from "@signet/shared/der";
import { SignetError } from "@signet/shared/errors";
import { Oid } from "@signet/shared/oids";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { ParsedPublicKey } from "../types.ts";

// RSA outside of these costs the CA more to verify than it gives the workload (SPIRE 1.14.2: a DoS by key size).
const minRsaBits = 2_048;
const maxRsaBits = 4_096;

const curvePoints: Readonly<Record<string, { kind: PublicKeyKind; coordinateBytes: number }>> = {
  [Oid.p256]: { kind: "p256", coordinateBytes: 32 },
  [Oid.p384]: { kind: "p384", coordinateBytes: 48 },
};
const ecAlgorithms = {
  p256: sequence(oid(Oid.ecPublicKey), oid(Oid.p256)),
  p384: sequence(oid(Oid.ecPublicKey), oid(Oid.p384)),
};
const ed25519Algorithm = sequence(oid(Oid.ed25519));
const rsaAlgorithm = sequence(oid(Oid.rsaEncryption), tlv(Tag.null));

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and encodes it anew from its parts. Whether a point is on its curve
 * shows when the proof of possession is verified.
 * @throws SignetError `malformed-der`, or `key-not-allowed` for a key of a kind or size that Signet never certifies
 */
export function readPublicKey(reader: DerReader): ParsedPublicKey {
  const info = reader.enter();
  const algorithm = info.enter();
  const bits = info.bitString();
  info.end();
  switch (algorithm.oid()) {
    case Oid.ecPublicKey:
      return readEcKey(algorithm, bits);
    case Oid.ed25519:
      algorithm.end();
      if (bits.length !== 32) throw notAllowed("an Ed25519 key that is not 32 bytes");
      if (isOfSmallOrder(bits)) throw notAllowed("an Ed25519 key under which anybody can sign");
      return { kind: "ed25519", spki: sequence(ed25519Algorithm, bitString(bits)), keyBits: bits };
    case Oid.rsaEncryption:
      algorithm.expect(Tag.null);
      algorithm.end();
      return readRsaKey(bits);
    default:
      throw notAllowed("its algorithm is none of P-256, P-384, Ed25519 and RSA");
  }
}

function readEcKey(algorithm: DerReader, point: Uint8Array): ParsedPublicKey {
  if (algorithm.peek() !== Tag.oid) throw notAllowed("an EC key must name its curve");
  const curve = curvePoints[algorithm.oid()];
  algorithm.end();
  if (curve === undefined) throw notAllowed("its curve is neither P-256 nor P-384");
  if (point[0] !== 0x04) throw notAllowed("its point is not uncompressed");
  if (point.length !== 1 + 2 * curve.coordinateBytes) throw notAllowed("its point is not of its curve's size");
  const prefix = curve.kind === "p256" ? ecAlgorithms.p256 : ecAlgorithms.p384;
  return { kind: curve.kind, spki: sequence(prefix, bitString(point)), keyBits: point };
}

// The encodings of the points of small order, without the sign bit. A signature that anybody can make verifies under them
// by RFC 8032, and by some libraries; libsodium's ge25519_has_small_order refuses the same seven.
const smallOrderPoints = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
];

function isOfSmallOrder(point: Uint8Array): boolean {
  const unsigned = point.slice();
  unsigned[31] = (point[31] ?? 0) & 0x7f;
  return smallOrderPoints.includes(toHex(unsigned));
}

function readRsaKey(bits: Uint8Array): ParsedPublicKey {
  const outer = new DerReader(bits);
  const key = outer.enter();
  outer.end();
  const modulus = readPositive(key);
  const exponent = readPositive(key);
  key.end();
  const modulusBits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (modulusBits < minRsaBits || modulusBits > maxRsaBits) {
    throw notAllowed(`an RSA key of ${modulusBits} bits; ${minRsaBits} to ${maxRsaBits} are allowed`);
  }
  // FIPS 186-5 §5.1: an odd exponent over 2^16; four bytes are more than anyone uses. With 1 a signature is its own
  // message, and 3 is where lax padding checks let signatures be forged.
  const value = exponent.reduce((sum, byte) => sum * 256 + byte, 0);
  if (exponent.length > 4 || value < 65_537 || value % 2 === 0)
    throw notAllowed("an RSA exponent that is not 65537 or a larger odd number");
  if ((modulus[modulus.length - 1] ?? 0) % 2 === 0) throw notAllowed("an RSA modulus that is even");
  const keyBits = sequence(unsignedInteger(modulus), unsignedInteger(exponent));
  return { kind: "rsa", spki: sequence(rsaAlgorithm, bitString(keyBits)), keyBits };
}

function readPositive(reader: DerReader): Uint8Array {
  const number = reader.integer();
  if ((number[0] ?? 0) >= 0x80) throw notAllowed("an RSA key with a negative number");
  return number[0] === 0 ? number.subarray(1) : number;
}

function notAllowed(reason: string): SignetError {
  return new SignetError("key-not-allowed", `the CSR's key: ${reason}`);
}
