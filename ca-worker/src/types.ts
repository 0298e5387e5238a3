import { KeyUsageBit } from "@signet/shared/oids";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import type { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import type { Issuer } from "./authenticate/service-account.ts";

/** Step 1 gives the caller: a workload whose tokens hold, and the agent that asks for it. */
export interface Caller {
  /** Of the workload's token, and of the agent's. */
  readonly issuer: Issuer;
  readonly trustDomain: TrustDomain;
  readonly workload: ServiceAccountClaims;
  /** Undefined only where node binding is off for the issuer. */
  readonly agent: ServiceAccountClaims | undefined;
}

/** Step 2 gives the entitlement: what the policy lets this caller have, whatever its CSR will say. */
export interface Entitlement {
  /** Made from the verified token alone. */
  readonly spiffeId: SpiffeId;
  /** Name of the policy rule that decided; {@link defaultRule} where none matched. */
  readonly rule: string;
  /** Kinds of key that a CSR may bring. */
  readonly keys: readonly PublicKeyKind[];
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
  /** Lower case; in the leaf beside the SPIFFE ID. */
  readonly dnsNames: readonly string[];
}

/** What stands for a rule where none matched; no rule can be called so. */
export const defaultRule = "default";

/** Step 3 gives what of a CSR counts: a key whose possession is proven, and the URIs that it asks for. */
export interface ParsedCsr {
  readonly publicKey: ParsedPublicKey;
  readonly uris: readonly string[];
}

export interface ParsedPublicKey {
  readonly kind: PublicKeyKind;
  /** SubjectPublicKeyInfo, encoded anew from the key's typed parts. */
  readonly spki: Uint8Array<ArrayBuffer>;
  /** Contents of the BIT STRING in it: what a key identifier is a hash of. */
  readonly keyBits: Uint8Array;
}

/** Step 4 gives the grant: all that a leaf may say. */
export interface Grant {
  readonly spiffeId: SpiffeId;
  /** Lower case, maybe none. */
  readonly dnsNames: readonly string[];
  readonly publicKey: ParsedPublicKey;
  readonly ttlSeconds: number;
  /** Name of the policy rule that it is by, for those who read afterwards. */
  readonly rule: string;
}

/** Step 5 gives the certificate. Times are seconds since the epoch. */
export interface Issued {
  readonly der: Uint8Array;
  /** Lower-case hex. */
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Bits of KeyUsage in a leaf: keyEncipherment only for RSA, the one kind that can do it. Envoy and BoringSSL hold peers
 * to their key usage (Envoy 1.38 release notes).
 */
export function leafKeyUsage(kind: PublicKeyKind): readonly number[] {
  return kind === "rsa" ? [KeyUsageBit.digitalSignature, KeyUsageBit.keyEncipherment] : [KeyUsageBit.digitalSignature];
}
