import * as v from "valibot";
import { SignetError } from "./errors.ts";
import type { ServiceAccountClaims } from "./service-account.ts";

/**
 * What a service-account token must be like, whoever checks it: the CA for each request, and the agent by what the CA
 * publishes while the CA itself cannot be reached. Neither signatures nor keys are made use of here.
 */

/** Signature algorithms of tokens that can be allowed: asymmetric ones only, whatever a token's header says. */
export const tokenAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

/** The rules of one issuer, as configured at the CA. */
export interface TokenRules {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly TokenAlgorithm[];
  readonly maxTokenLifetimeSeconds: number;
}

// Machines of a cluster are seconds apart (istio #32176): a token may be of the future by that, but not past its end.
const clockSkewSeconds = 60;

// Kubernetes sets alg and kid, other issuers typ too. What names a key or a place to find one is never needed, nor is
// what makes the payload something else than claims: unencoded, compressed, encrypted, a token in a token.
const refusedHeaders = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"];

/**
 * Reads a token's header (RFC 7515 §4.1), of which Kubernetes uses alg and kid.
 * @throws SignetError `token-not-accepted`
 */
export function readTokenHeader(value: unknown): { alg: unknown; kid: string | undefined } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused("its header is no object");
  for (const name of refusedHeaders) if (name in value) throw refused(`its header has ${name}`);
  const { alg, kid, typ } = value as { alg?: unknown; kid?: unknown; typ?: unknown };
  if (typ !== undefined && typ !== "JWT") throw refused("its typ is not JWT");
  if (kid !== undefined && typeof kid !== "string") throw refused("its kid is no string");
  return { alg, kid };
}

/**
 * The algorithm that a header names, if the issuer's rules allow it.
 * @throws SignetError `token-not-accepted`
 */
export function allowedAlgorithm(alg: unknown, { algorithms }: TokenRules): TokenAlgorithm {
  const algorithm = algorithms.find((allowed) => allowed === alg);
  if (algorithm === undefined) throw refused("its algorithm is not allowed");
  return algorithm;
}

/**
 * Holds claims, whose signature was verified, against the rules of their issuer.
 * @throws SignetError `token-not-accepted`
 */
export function checkTokenClaims(claims: ServiceAccountClaims, rules: TokenRules, now: number): void {
  if (claims.issuer !== rules.issuer) throw refused("its issuer changed under verification");
  if (!claims.audiences.some((audience) => rules.audiences.includes(audience)))
    throw refused("its audience is not ours");
  if (claims.expiresAt <= now) throw refused("it has expired");
  if (claims.notBefore > now + clockSkewSeconds) throw refused("it is not valid yet");
  if (claims.issuedAt > now + clockSkewSeconds) throw refused("it was issued in the future");
  const lifetime = claims.expiresAt - claims.issuedAt;
  if (lifetime <= 0 || lifetime > rules.maxTokenLifetimeSeconds) {
    throw refused(`its lifetime of ${lifetime} s is not within maxTokenLifetime, ${rules.maxTokenLifetimeSeconds} s`);
  }
}

export const minRsaModulusBits = 2_048;
const minRsaModulusCharacters = Math.ceil(minRsaModulusBits / 6); // in base64url

const ecAlgorithms: Readonly<Record<string, TokenAlgorithm>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

const knownKinds = ["RSA", "EC", "OKP"];

/** A public key that verifies tokens (RFC 7517 §4). */
export const publicJwk = v.pipe(
  v.looseObject({
    kty: v.string(),
    kid: v.optional(v.pipe(v.string(), v.nonEmpty())),
    use: v.optional(v.string()),
    alg: v.optional(v.string()),
    crv: v.optional(v.string()),
    n: v.optional(v.string()),
  }),
  v.check(
    (jwk) => !("d" in jwk) && !("k" in jwk) && jwk.kty !== "oct",
    "this is a private or symmetric key; give the public one",
  ),
  v.check((jwk) => jwk.kty !== "RSA" || (jwk.n ?? "").length >= minRsaModulusCharacters, "an RSA key under 2048 bits"),
);
export type PublicJwk = v.InferOutput<typeof publicJwk>;

/** Leaves out keys for another `use`, for other operations, and of a kind that is not known (RFC 7517 §4.2, §4.3, §5). */
export function signatureKeys(keys: readonly PublicJwk[]): PublicJwk[] {
  return keys.filter(
    ({ kty, use, key_ops: operations }) =>
      knownKinds.includes(kty) &&
      (use === undefined || use === "sig") &&
      (operations === undefined || (Array.isArray(operations) && operations.includes("verify"))),
  );
}

/** The one key that a token with this header can be signed with, or undefined where there is none or a choice. */
export function findJwk(
  keys: readonly PublicJwk[],
  kid: string | undefined,
  algorithm: TokenAlgorithm,
): PublicJwk | undefined {
  const [jwk, ...more] = keys.filter((one) => (kid === undefined || one.kid === kid) && fits(one, algorithm));
  return more.length > 0 ? undefined : jwk;
}

function fits(jwk: PublicJwk, algorithm: TokenAlgorithm): boolean {
  if (jwk.alg !== undefined && jwk.alg !== algorithm) return false;
  if (jwk.kty === "RSA") return algorithm.startsWith("RS") || algorithm.startsWith("PS");
  if (jwk.kty === "OKP") return algorithm === "EdDSA" && jwk.crv === "Ed25519";
  return ecAlgorithms[jwk.crv ?? ""] === algorithm;
}

function refused(reason: string): SignetError {
  return new SignetError("token-not-accepted", `token: ${reason}`);
}
