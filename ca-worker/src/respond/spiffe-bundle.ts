import { toBase64, toBase64Url } from "@signet/shared/base64";
import type { TrustBundle } from "@signet/shared/ca-api";
import { parseCertificate } from "@signet/shared/certificate";
import { DerReader } from "@signet/shared/der";
import { decodeSinglePem } from "@signet/shared/pem";
import { readPublicKey } from "../request/public-key.ts";

/** A SPIFFE bundle (SPIFFE Trust Domain and Bundle §4): a JWK Set with the roots as `x509-svid` keys. */
export interface SpiffeBundle {
  readonly keys: readonly Readonly<Record<string, string | string[]>>[];
  readonly spiffe_sequence: number;
  readonly spiffe_refresh_hint: number;
}

export function spiffeBundle({ sequence, refreshHintSeconds, roots }: TrustBundle): SpiffeBundle {
  return { keys: roots.map(describeRoot), spiffe_sequence: sequence, spiffe_refresh_hint: refreshHintSeconds };
}

function describeRoot(pem: string): Record<string, string | string[]> {
  const { der, publicKey } = parseCertificate(decodeSinglePem(pem, ["CERTIFICATE"]));
  // §4.2.3: exactly one certificate in x5c, and no kid.
  return { ...describeKey(publicKey), use: "x509-svid", x5c: [toBase64(der)] };
}

function describeKey(spki: Uint8Array): Record<string, string> {
  const { kind, keyBits } = readPublicKey(new DerReader(spki));
  if (kind === "ed25519") return { kty: "OKP", crv: "Ed25519", x: toBase64Url(keyBits) };
  if (kind === "rsa") {
    const numbers = new DerReader(keyBits).enter();
    const unsigned = (bytes: Uint8Array) => toBase64Url(bytes[0] === 0 ? bytes.subarray(1) : bytes);
    return { kty: "RSA", n: unsigned(numbers.integer()), e: unsigned(numbers.integer()) };
  }
  const half = (keyBits.length - 1) / 2;
  const [x, y] = [keyBits.subarray(1, 1 + half), keyBits.subarray(1 + half)];
  return { kty: "EC", crv: kind === "p256" ? "P-256" : "P-384", x: toBase64Url(x), y: toBase64Url(y) };
}
