import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Clock } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import {
  type DecodedToken,
  decodeTokenParts,
  readServiceAccountClaims,
  type ServiceAccountClaims,
} from "@signet/shared/service-account";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { Crypto } from "../crypto.ts";
import type { TokenAlgorithm } from "./jwk-set.ts";
import type { KeySource } from "./key-source.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

/** An issuer of service-account tokens, as configured. */
export interface Issuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly trustDomain: TrustDomain;
  readonly algorithms: readonly TokenAlgorithm[];
  readonly maxTokenLifetimeSeconds: number;
  readonly keys: KeySource;
}

/** A token whose signature and claims hold. */
export interface VerifiedToken {
  readonly issuer: Issuer;
  readonly claims: ServiceAccountClaims;
}

// Machines of a cluster are seconds apart (istio #32176); a token may be from that much in the future, never past its end.
const clockSkewSeconds = 60;

// Kubernetes sets alg and kid, other issuers typ too. What names a key or a place to find one is never needed.
const refusedHeaders = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/** Verifies service-account tokens (RFC 7519, KEP-1205) of the configured issuers. */
export class TokenVerifier {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  readonly #verified: VerifiedTokens;

  constructor(issuers: readonly Issuer[], clock: Clock, crypto: Crypto) {
    this.#crypto = crypto;
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]));
    this.#clock = clock;
    this.#verified = new VerifiedTokens(clock);
  }

  /** @throws SignetError `token-not-accepted` with the reason for the log, or `issuer-unavailable` */
  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > maxTokenCharacters) throw refused("it is too long");
    const { header, payload, signed, signature } = decode(token);
    const { alg, kid } = readHeader(header);
    const issuer = this.#issuerOf(payload);
    const algorithm = issuer.algorithms.find((allowed) => allowed === alg);
    if (algorithm === undefined) throw refused("its algorithm is not allowed");
    const key = await issuer.keys.find(kid, algorithm);
    if (key === undefined) throw refused("its issuer has no key of that kid and algorithm");
    if (!(await this.#crypto.verifyToken(algorithm, key, signature, signed))) {
      throw refused("its signature does not verify");
    }
    const verified = { issuer, claims: readClaims(payload) };
    this.#checkClaims(verified);
    return verified;
  }

  /**
   * As {@link verify}, but the signature of the very same text is not computed twice within a short while: an agent
   * sends its own token with each of its requests. The claims, times above all, are checked every time.
   */
  async verifyRepeated(token: string): Promise<VerifiedToken> {
    const known = this.#verified.get(token);
    if (known !== undefined) {
      this.#checkClaims(known);
      return known;
    }
    const verified = await this.verify(token);
    this.#verified.add(token, verified);
    return verified;
  }

  /** Chooses among the configured issuers by the unverified `iss`; its key then has to verify the same bytes. */
  #issuerOf(payload: unknown): Issuer {
    const { iss } = (payload ?? {}) as { iss?: unknown };
    const issuer = typeof iss === "string" ? this.#issuers.get(iss) : undefined;
    if (issuer === undefined) throw refused("its issuer is not configured");
    return issuer;
  }

  #checkClaims({ issuer, claims }: VerifiedToken): void {
    const now = this.#clock();
    if (claims.issuer !== issuer.issuer) throw refused("its issuer changed under verification");
    if (!claims.audiences.some((audience) => issuer.audiences.includes(audience)))
      throw refused("its audience is not ours");
    if (claims.expiresAt <= now) throw refused("it has expired");
    if (claims.notBefore > now + clockSkewSeconds) throw refused("it is not valid yet");
    if (claims.issuedAt > now + clockSkewSeconds) throw refused("it was issued in the future");
    const lifetime = claims.expiresAt - claims.issuedAt;
    if (lifetime <= 0 || lifetime > issuer.maxTokenLifetimeSeconds) {
      throw refused(
        `its lifetime of ${lifetime} s is not within maxTokenLifetime, ${issuer.maxTokenLifetimeSeconds} s`,
      );
    }
  }
}

function decode(token: string): DecodedToken {
  try {
    return decodeTokenParts(token);
  } catch (error) {
    throw new SignetError("token-not-accepted", asSignetError(error, "malformed-token").message, { cause: error });
  }
}

/** RFC 7515 §4.1, of which Kubernetes uses alg and kid. */
function readHeader(value: unknown): { alg: unknown; kid: string | undefined } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused("its header is no object");
  for (const name of refusedHeaders) if (name in value) throw refused(`its header has ${name}`);
  const { alg, kid, typ } = value as { alg?: unknown; kid?: unknown; typ?: unknown };
  if (typ !== undefined && typ !== "JWT") throw refused("its typ is not JWT");
  if (kid !== undefined && typeof kid !== "string") throw refused("its kid is no string");
  return { alg, kid };
}

function readClaims(payload: unknown): ServiceAccountClaims {
  try {
    return readServiceAccountClaims(payload);
  } catch (error) {
    throw new SignetError("token-not-accepted", asSignetError(error, "malformed-token").message, { cause: error });
  }
}

function refused(reason: string): SignetError {
  return new SignetError("token-not-accepted", `token: ${reason}`);
}
