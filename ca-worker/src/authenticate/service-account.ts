import type { AccountPath } from "@signet/shared/account-path";
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
import { allowedAlgorithm, checkTokenClaims, readTokenHeader, type TokenRules } from "@signet/shared/token-rules";
import type { Crypto } from "../crypto.ts";
import type { KeySource } from "./key-source.ts";
import type { TokenReview } from "./token-review.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

/** An issuer of service-account tokens, as configured. */
export interface Issuer extends TokenRules {
  readonly trustDomain: TrustDomain;
  /** How its accounts are named in the trust domain. */
  readonly path: AccountPath;
  /** Namespaces whose accounts may have certificates; undefined: all. Step 2 asks it. */
  readonly namespaces: { has(name: string): boolean } | undefined;
  /** Node binding: service accounts of agents as `namespace/name`; "off": its tokens count from wherever they come. */
  readonly agents: ReadonlySet<string> | "off";
  readonly keys: KeySource;
  /** Asked of each token beside all else; undefined: a token counts until its end, whatever became of its pod. */
  readonly review: TokenReview | undefined;
}

/** A token whose signature and claims hold. */
export interface VerifiedToken {
  readonly issuer: Issuer;
  readonly claims: ServiceAccountClaims;
}

/** Verifies service-account tokens (RFC 7519, KEP-1205) of the configured issuers. */
export class TokenVerifier {
  /** Whether tokens must come with their node's agent: those of all issuers, of some or of none. */
  readonly binding: "all" | "some" | "none";
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  readonly #verified: VerifiedTokens;

  constructor(issuers: readonly Issuer[], clock: Clock, crypto: Crypto) {
    this.#crypto = crypto;
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]));
    this.#clock = clock;
    const bound = issuers.filter(({ agents }) => agents !== "off").length;
    this.binding = bound === 0 ? "none" : bound === issuers.length ? "all" : "some";
    this.#verified = new VerifiedTokens(clock);
  }

  /** @throws SignetError `token-not-accepted` with the reason for the log, or `issuer-unavailable` */
  async verify(token: string): Promise<VerifiedToken> {
    const verified = await this.#verifyText(token);
    await verified.issuer.review?.check(token, verified.claims);
    return verified;
  }

  async #verifyText(token: string): Promise<VerifiedToken> {
    if (token.length > maxTokenCharacters) throw refused("it is too long");
    const { header, payload, signed, signature } = decode(token);
    const { alg, kid } = readTokenHeader(header);
    const issuer = this.#issuerOf(payload);
    const algorithm = allowedAlgorithm(alg, issuer);
    const key = await issuer.keys.find(kid, algorithm);
    if (key === undefined) throw refused("its issuer has no key of that kid and algorithm");
    if (!(await this.#crypto.verifyToken(algorithm, key, signature, signed))) {
      throw refused("its signature does not verify");
    }
    const verified = { issuer, claims: readClaims(payload) };
    checkTokenClaims(verified.claims, issuer, this.#clock());
    return verified;
  }

  /**
   * As {@link verify}, but the signature of the very same text is not computed twice within a short while: an agent
   * sends its own token with each of its requests. The claims, times above all, are checked every time.
   */
  async verifyRepeated(token: string): Promise<VerifiedToken> {
    let verified = this.#verified.get(token);
    if (verified === undefined) {
      verified = await this.#verifyText(token);
      this.#verified.add(token, verified);
    } else checkTokenClaims(verified.claims, verified.issuer, this.#clock());
    await verified.issuer.review?.check(token, verified.claims);
    return verified;
  }

  /** Chooses among the configured issuers by the unverified `iss`; its key then has to verify the same bytes. */
  #issuerOf(payload: unknown): Issuer {
    const { iss } = (payload ?? {}) as { iss?: unknown };
    const issuer = typeof iss === "string" ? this.#issuers.get(iss) : undefined;
    if (issuer === undefined) throw refused("its issuer is not configured");
    return issuer;
  }
}

function decode(token: string): DecodedToken {
  try {
    return decodeTokenParts(token);
  } catch (error) {
    throw new SignetError("token-not-accepted", asSignetError(error, "malformed-token").message, { cause: error });
  }
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
