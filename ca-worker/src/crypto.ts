import type { Awaitable } from "@signet/shared/deps";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { TokenAlgorithm } from "@signet/shared/token-rules";

export type HashName = "SHA-256" | "SHA-384" | "SHA-512";

/**
 * The cryptography of the hot path, so that a platform may bring a faster one than WebCrypto. Signatures are in the form
 * that X.509 carries: DER for ECDSA (RFC 3279 §2.2.3), the plain bytes for RSA and Ed25519.
 */
export interface Crypto {
  /** Bytes of a cryptographically strong generator. */
  random(length: number): Uint8Array;
  sha256(data: Uint8Array<ArrayBuffer>): Awaitable<Uint8Array>;
  /**
   * Whether `signature` over `data` was made with the key.
   * @throws whatever the platform throws when the key is none, such as a point that is not on its curve
   */
  verify(key: VerifyingKey, hash: HashName, signature: Uint8Array, data: Uint8Array): Awaitable<boolean>;
  /** Whether a JWS signature (RFC 7518 §3) was made with the issuer's key, which was imported for that one algorithm. */
  verifyToken(
    algorithm: TokenAlgorithm,
    key: CryptoKey,
    signature: Uint8Array<ArrayBuffer>,
    signed: string,
  ): Awaitable<boolean>;
  /** @throws whatever the platform throws when the key is none */
  importSigner(kind: "p256" | "p384", pkcs8: Uint8Array<ArrayBuffer>): Awaitable<Signer>;
}

export interface VerifyingKey {
  readonly kind: PublicKeyKind;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array<ArrayBuffer>;
}

/** A key of the CA. Nothing gives the key itself away. */
export interface Signer {
  readonly kind: "p256" | "p384";
  sign(data: Uint8Array): Awaitable<Uint8Array>;
}

/** The hash that goes with a CA key's curve. */
export const signingHash = { p256: "SHA-256", p384: "SHA-384" } as const satisfies Record<Signer["kind"], HashName>;
