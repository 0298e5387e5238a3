import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import { type AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { type TokenIssuers, tokenIssuers } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import { decodeTokenParts } from "@signet/shared/service-account";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import {
  allowedAlgorithm,
  checkTokenClaims,
  findJwk,
  minRsaModulusBits,
  type PublicJwk,
  publicJwk,
  readTokenHeader,
  signatureKeys,
  type TokenAlgorithm,
  type TokenRules,
  tokenAlgorithms,
} from "@signet/shared/token-rules";
import * as v from "valibot";
import type { Caller } from "./caller.ts";

interface KnownIssuer extends TokenRules {
  readonly accountPath: string;
  readonly keys: readonly PublicJwk[];
}

export interface VouchFor {
  /** Seconds since the epoch. */
  readonly now: number;
  /** The node of the agent's own token, where it names one. */
  readonly nodeUid: string | undefined;
}

/**
 * What the CA verifies tokens with, as it has said last. With it the agent can tell by itself whether a token is one
 * that the CA would take. It is no substitute for the CA's word, see `svid/workloads.ts` for the one use of it.
 */
export class TokenIssuerStore {
  readonly #trustDomain: TrustDomain;
  readonly #accountPath: AccountPath;
  #issuers: readonly KnownIssuer[] = [];

  /** @param accountPath how this agent takes accounts to be named */
  constructor(trustDomain: TrustDomain, accountPath: AccountPath) {
    this.#trustDomain = trustDomain;
    this.#accountPath = accountPath;
  }

  /**
   * Takes the document that the CA has sent; issuers of other trust domains are left out.
   * @throws SignetError `ca-answer-invalid`
   */
  offer(json: unknown): void {
    const result = v.safeParse(tokenIssuers, json);
    if (!result.success) {
      throw new SignetError("ca-answer-invalid", `the CA's token issuers: ${describeIssues(result.issues)[0]}`);
    }
    this.#issuers = result.output.issuers
      .filter(({ trustDomain }) => trustDomain === this.#trustDomain.name)
      .map(readIssuer);
  }

  /**
   * Verifies a token as the CA would: signature, issuer, audience, times, and that it is of a pod of this node.
   * @throws SignetError `token-not-accepted`, `wrong-node`, or `malformed-token`
   */
  verify({ token, claims }: Pick<Caller, "token" | "claims">, { now, nodeUid }: VouchFor): void {
    const { header, signature, signed } = decodeTokenParts(token);
    const { alg, kid } = readTokenHeader(header);
    // The claims were read from the same bytes that the signature is over.
    const issuer = this.#issuers.find((one) => one.issuer === claims.issuer);
    if (issuer === undefined) throw refused("its issuer is not known");
    if (issuer.accountPath !== this.#accountPath.template) throw refused("the CA names its account otherwise");
    const algorithm = allowedAlgorithm(alg, issuer);
    const jwk = findJwk(issuer.keys, kid, algorithm);
    const key = jwk === undefined ? undefined : importKey(jwk);
    if (key === undefined) throw refused("its issuer has no key of that kid and algorithm");
    if (!verifySignature(algorithm, key, signed, signature)) throw refused("its signature does not verify");
    checkTokenClaims(claims, issuer, now);
    // Where the agent has a token of its own, the CA binds pods to its node.
    if (nodeUid !== undefined && claims.nodeUid !== nodeUid) {
      throw new SignetError("wrong-node", "the token belongs to no pod of this node");
    }
  }
}

function readIssuer({
  keys,
  algorithms,
  accountPath = defaultAccountPath,
  ...rules
}: TokenIssuers["issuers"][number]): KnownIssuer {
  return {
    ...rules,
    accountPath,
    algorithms: tokenAlgorithms.filter((known) => algorithms.includes(known)),
    keys: signatureKeys(keys.keys.filter((jwk) => v.is(publicJwk, jwk))),
  };
}

/** The key, or undefined where its numbers make none. */
function importKey(jwk: PublicJwk): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    const { modulusLength } = key.asymmetricKeyDetails ?? {};
    return modulusLength === undefined || modulusLength >= minRsaModulusBits ? key : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1: a PS salt is as long as its hash. */
function verifySignature(algorithm: TokenAlgorithm, key: KeyObject, signed: string, signature: Uint8Array): boolean {
  const data = Buffer.from(signed);
  if (algorithm === "EdDSA") return verify(null, data, key, signature);
  const bits = Number(algorithm.slice(2));
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 };
  const options = algorithm.startsWith("ES")
    ? { key, dsaEncoding: "ieee-p1363" as const }
    : { key, ...(algorithm.startsWith("PS") ? pss : { padding: constants.RSA_PKCS1_PADDING }) };
  return verify(`sha${bits}`, data, options, signature);
}

function refused(reason: string): SignetError {
  return new SignetError("token-not-accepted", `token: ${reason}`);
}
