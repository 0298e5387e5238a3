import { generateKeyPairSync, sign } from "node:crypto";

/** A fresh P-256 key pair. It lives in this process only, and outside of JavaScript's heap until it is written down. */
export interface KeyPair {
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256, as DER. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  /** The private key as PKCS#8 PEM, in bytes that are the caller's to zero: a string could not be. */
  readonly writePrivateKey: () => Uint8Array;
}

/** Makes a key pair. Synchronous on purpose: it takes a fifth of a millisecond, less than a trip to the thread pool. */
export function generateKey(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    publicKey: publicKey.export({ type: "spki", format: "der" }),
    sign: (bytes) => sign("sha256", bytes, privateKey),
    writePrivateKey: () => {
      const der = privateKey.export({ type: "pkcs8", format: "der" });
      const pem = writePem(der);
      der.fill(0);
      return pem;
    },
  };
}

const ascii = new TextEncoder();
const begin = ascii.encode("-----BEGIN PRIVATE KEY-----\n");
const end = ascii.encode("-----END PRIVATE KEY-----\n");
const alphabet = ascii.encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const padding = 0x3d;
const newline = 0x0a;
const lineLength = 64;

// As `encodePem` of shared, which goes by way of a string.
function writePem(der: Uint8Array): Uint8Array {
  const characters = Math.ceil(der.length / 3) * 4;
  const pem = new Uint8Array(begin.length + characters + Math.ceil(characters / lineLength) + end.length);
  pem.set(begin);
  let at = begin.length;
  let column = 0;
  for (let read = 0; read < der.length; read += 3) {
    const bits = ((der[read] ?? 0) << 16) | ((der[read + 1] ?? 0) << 8) | (der[read + 2] ?? 0);
    const given = Math.min(der.length - read, 3) + 1;
    for (let digit = 0; digit < 4; digit++) {
      pem[at++] = digit < given ? (alphabet[(bits >> (18 - 6 * digit)) & 63] ?? 0) : padding;
    }
    column += 4;
    if (column === lineLength || read + 3 >= der.length) {
      pem[at++] = newline;
      column = 0;
    }
  }
  pem.set(end, at);
  return pem;
}
