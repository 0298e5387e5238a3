import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Clock } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import {
  decodeTokenUnverified,
  readServiceAccountClaims,
  type ServiceAccountClaims,
} from "@signet/shared/service-account";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import { compactVerify, decodeProtectedHeader, type ProtectedHeaderParameters } from "jose";
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
  readonly #verified: VerifiedTokens;

  constructor(issuers: readonly Issuer[], clock: Clock) {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]));
    this.#clock = clock;
    this.#verified = new VerifiedTokens(clock);
  }

  /** @throws SignetError `token-not-accepted` with the reason for the log, or `issuer-unavailable` */
  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > maxTokenCharacters) throw refused("it is too long");
    const { issuer, header } = this.#route(token);
    const algorithm = issuer.algorithms.find((allowed) => allowed === header.alg);
    if (algorithm === undefined) throw refused("its algorithm is not allowed");
    const key = await issuer.keys.find(header.kid, algorithm);
    if (key === undefined) throw refused("its issuer has no key of that kid and algorithm");
    let payload: Uint8Array;
    try {
      ({ payload } = await compactVerify(token, key, { algorithms: [algorithm] }));
    } catch (cause) {
      throw new SignetError("token-not-accepted", "token: its signature does not verify", { cause });
    }
    // From here on only bytes count that were under the signature.
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

  /** Chooses the issuer among the configured ones by the unverified `iss`; nothing else of the payload is looked at. */
  #route(token: string): { issuer: Issuer; header: ProtectedHeaderParameters & { kid?: string } } {
    try {
      const payload = decodeTokenUnverified(token) as { iss?: unknown } | null;
      const header = decodeProtectedHeader(token) as ProtectedHeaderParameters & { kid?: unknown; typ?: unknown };
      const issuer = typeof payload?.iss === "string" ? this.#issuers.get(payload.iss) : undefined;
      if (issuer === undefined) throw refused("its issuer is not configured");
      for (const name of refusedHeaders) if (name in header) throw refused(`its header has ${name}`);
      if (header.typ !== undefined && header.typ !== "JWT") throw refused("its typ is not JWT");
      if (header.kid !== undefined && typeof header.kid !== "string") throw refused("its kid is no string");
      return { issuer, header: header as ProtectedHeaderParameters & { kid?: string } };
    } catch (error) {
      if (error instanceof SignetError && error.code === "token-not-accepted") throw error;
      throw new SignetError("token-not-accepted", "token: it is not a compact JWS", { cause: error });
    }
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

function readClaims(payload: Uint8Array): ServiceAccountClaims {
  try {
    return readServiceAccountClaims(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)));
  } catch (error) {
    throw new SignetError("token-not-accepted", asSignetError(error, "malformed-token").message, { cause: error });
  }
}

function refused(reason: string): SignetError {
  return new SignetError("token-not-accepted", `token: ${reason}`);
}
