import {
  DerReader,
  ecdsaSignatureFromRaw,
  ecdsaSignatureToRaw,
  oid,
  sequence,
  Tag,
  tlv,
  unsignedInteger,
} from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { makeKey } from "../csr.ts";
import { bytes, csr, csrDer, join, longLength, type Oddity, type Trick } from "./build.ts";

const malformed = "malformed-csr" as const;
const ed25519 = sequence(oid(Oid.ed25519));
const rsa = sequence(oid(Oid.sha256WithRsa), tlv(Tag.null));

// SEC 2 §2.4.2: the order of P-256's base point; RFC 8032 §5.1: that of Ed25519's, its first byte last there.
const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const edwardsOrder = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;

const toNumber = (value: Uint8Array) => BigInt(`0x${Buffer.from(value).toString("hex")}`);
const toBytes = (value: bigint, length: number) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex"));
const halves = (der: Uint8Array) => {
  const raw = ecdsaSignatureToRaw(der, 32);
  return { r: raw.subarray(0, 32), s: raw.subarray(32) };
};
const zero = unsignedInteger(bytes(0));
const ecdsa = (rule: string, signature: (good: Uint8Array) => Uint8Array, more: Partial<Trick> = {}): Trick => ({
  rule,
  code: malformed,
  pem: () => csr({ signature }),
  ...more,
});

/** Signatures that prove nothing. */
export const signatureTricks: readonly Trick[] = [
  ecdsa(
    "a signature of another key",
    () => new DerReader(csrDer({ key: makeKey() })).enter().expect(Tag.sequence).bytes,
  ),
  ecdsa("no signature", () => bytes()),
  ecdsa("ECDSA with r and s of 0", () => sequence(zero, zero)),
  ecdsa("ECDSA with r and s of 1", () => sequence(unsignedInteger(bytes(1)), unsignedInteger(bytes(1)))),
  ecdsa("ECDSA with r of 0", (good) => sequence(zero, unsignedInteger(halves(good).s))),
  ecdsa("ECDSA with s of 0", (good) => sequence(unsignedInteger(halves(good).r), zero)),
  ecdsa("ECDSA with the order as s", (good) =>
    sequence(unsignedInteger(halves(good).r), unsignedInteger(toBytes(order, 32))),
  ),
  ecdsa("ECDSA with s over the order", (good) =>
    sequence(unsignedInteger(halves(good).r), unsignedInteger(toBytes(toNumber(halves(good).s) + order, 33))),
  ),
  ecdsa("ECDSA with a negative s", (good) =>
    sequence(unsignedInteger(halves(good).r), tlv(Tag.integer, join(bytes(0xff), halves(good).s))),
  ),
  ecdsa("ECDSA with r and s of 1,000 bytes", () =>
    sequence(...Array(2).fill(unsignedInteger(new Uint8Array(1_000).fill(0x7f)))),
  ),
  ecdsa("ECDSA as r || s", (good) => ecdsaSignatureToRaw(good, 32)),
  ecdsa("ECDSA with a zero more before r", (good) =>
    sequence(tlv(Tag.integer, join(bytes(0, 0), halves(good).r)), unsignedInteger(halves(good).s)),
  ),
  ecdsa("ECDSA with a length in the long form", (good) => longLength(good)),
  ecdsa("ECDSA with a value after s", (good) => sequence(new DerReader(good).any().contents, tlv(Tag.null))),
  ecdsa("ECDSA with a byte after it", (good) => join(good, bytes(0))),
  ecdsa("an Ed25519 signature's algorithm over an ECDSA one", (good) => good, {
    pem: () => csr({ algorithm: ed25519 }),
  }),
  ecdsa("an RSA signature's algorithm over an ECDSA one", (good) => good, { pem: () => csr({ algorithm: rsa }) }),
  ecdsa("SHA-1 in the algorithm", (good) => good, {
    pem: () => csr({ algorithm: sequence(oid("1.2.840.10045.4.1")) }),
  }),
  ecdsa("an algorithm with parameters", (good) => good, {
    pem: () => csr({ algorithm: sequence(oid(Oid.ecdsaWithSha256), tlv(Tag.null)) }),
  }),
  ecdsa("a MAC in place of a signature", (good) => good, {
    pem: () => csr({ algorithm: sequence(oid("1.2.840.113549.2.9")) }),
  }),
  ecdsa("Ed25519 with S over the order", (good) => good, {
    pem: () => {
      const more = (good: Uint8Array) => {
        const s = toNumber(good.slice(32).reverse()) + edwardsOrder;
        return join(good.subarray(0, 32), toBytes(s, 32).reverse());
      };
      return csr({ key: makeKey("ed25519"), algorithm: ed25519, signature: more });
    },
  }),
  ecdsa("Ed25519 of 63 bytes", (good) => good, {
    pem: () => csr({ key: makeKey("ed25519"), algorithm: ed25519, signature: (good) => good.subarray(1) }),
  }),
  ecdsa("RSA with a byte before it", (good) => good, {
    pem: () => csr({ key: makeKey("rsa2048"), algorithm: rsa, signature: (good) => join(bytes(0), good) }),
  }),
  ecdsa("RSA of 0", (good) => good, {
    pem: () => csr({ key: makeKey("rsa2048"), algorithm: rsa, signature: (good) => good.fill(0) }),
  }),
  ecdsa("RSA of FF", (good) => good, {
    pem: () => csr({ key: makeKey("rsa2048"), algorithm: rsa, signature: (good) => good.fill(0xff) }),
  }),
];

export const signatureOddities: readonly Oddity[] = [
  {
    rule: "ECDSA with the other s, which fits too",
    pem: () =>
      csr({
        signature: (good) => ecdsaSignatureFromRaw(join(halves(good).r, toBytes(order - toNumber(halves(good).s), 32))),
      }),
  },
];
