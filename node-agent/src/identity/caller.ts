import { createHash } from "node:crypto";
import type { AccountPath } from "@signet/shared/account-path";
import type { Clock } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import {
  decodeTokenUnverified,
  readServiceAccountClaims,
  type ServiceAccountClaims,
} from "@signet/shared/service-account";
import type { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";

/**
 * Who a token says is asking. NOTHING here is proven: only the CA checks signatures, so a caller is given nothing of a
 * workload before the CA has accepted these very bytes (see `svid/workloads.ts`).
 */
export interface Caller {
  readonly token: string;
  /** SHA-256 of the token, base64: the only thing by which state is found. */
  readonly tokenHash: string;
  readonly claims: ServiceAccountClaims;
  /** The identity that the claims amount to. */
  readonly spiffeId: SpiffeId;
}

export interface CallerChecks {
  readonly now: Clock;
  readonly trustDomain: TrustDomain;
  /** How the CA names accounts. */
  readonly accountPath: AccountPath;
  /** The node of the agent's own token, where it names one. */
  readonly nodeUid: () => string | undefined;
}

/**
 * Reads a token as far as that goes without keys, to refuse early what the CA would refuse anyway.
 * @throws SignetError `malformed-token`, `token-expired`, `wrong-node`
 */
export function readCaller(token: string, checks: CallerChecks): Caller {
  return callerReader(checks)(token);
}

/** As {@link readCaller} for many: the streams of one Envoy come one after the other, and share what is read once. */
export function callerReader(checks: CallerChecks): (token: string) => Caller {
  let last: Caller | undefined;
  return (token) => {
    const caller = last?.token === token ? last : decode(token, checks);
    check(caller.claims, checks);
    last = caller;
    return caller;
  };
}

function decode(token: string, checks: CallerChecks): Caller {
  const claims = readServiceAccountClaims(decodeTokenUnverified(token));
  return {
    token,
    tokenHash: createHash("sha256").update(token).digest("base64"),
    claims,
    spiffeId: serviceAccountId(checks, claims),
  };
}

function check({ expiresAt, nodeUid }: ServiceAccountClaims, checks: CallerChecks): void {
  if (expiresAt <= checks.now()) {
    throw new SignetError("token-expired", "token expired; come back with a fresh one");
  }
  const own = checks.nodeUid();
  if (own !== undefined && nodeUid !== undefined && nodeUid !== own) {
    throw new SignetError("wrong-node", "the token belongs to a pod of another node");
  }
}

function serviceAccountId({ accountPath, trustDomain }: CallerChecks, claims: ServiceAccountClaims): SpiffeId {
  try {
    return accountPath.idOf(trustDomain, claims.namespace, claims.serviceAccount);
  } catch (cause) {
    throw new SignetError("malformed-token", "token: its account makes no SPIFFE ID", { cause });
  }
}
