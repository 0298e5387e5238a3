import type { Awaitable } from "@signet/shared/deps";
import type { PublicKeyKind } from "@signet/shared/public-key";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { type Caller, defaultRule, type Entitlement } from "../types.ts";

/** Who may have what. */
export interface Policy {
  /** What leaves are like where no rule says otherwise; times in seconds. */
  readonly leaf: {
    readonly keys: readonly PublicKeyKind[];
    readonly defaultTtlSeconds: number;
    readonly maxTtlSeconds: number;
  };
}

/**
 * Step 2: what the policy lets a caller have. Cheap, and done before any cryptography of its CSR.
 * @throws SignetError `identity-not-entitled`
 */
export function entitle(caller: Caller, { leaf }: Policy): Awaitable<Entitlement> {
  const { namespace, serviceAccount } = caller.workload;
  const spiffeId = SpiffeId.ofServiceAccount(caller.trustDomain, namespace, serviceAccount);
  return { ...leaf, spiffeId, rule: defaultRule, dnsNames: [] };
}
