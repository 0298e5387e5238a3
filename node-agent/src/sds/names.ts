import type { SpiffeId } from "@signet/shared/spiffe-id";

/** What a resource name stands for: the caller's own key and chain, or the roots to verify others with. */
export type ResourceKind = "svid" | "bundle";

/** The name that means everything (xDS: wildcard). */
export const wildcard = "*";

/** The names under which Envoys ask; SPIRE's and Istio's by default. */
export interface ResourceNames {
  readonly svid: string;
  readonly bundle: string;
  readonly allBundles: string;
}

/** Names of one caller: the configured ones, and the SPIFFE IDs of the workload itself and of its trust domain. */
export function classifier(names: ResourceNames, self: SpiffeId): (name: string) => ResourceKind | undefined {
  const own = self.toString();
  const domain = self.trustDomain.id;
  return (name) => {
    if (name === names.svid || name === own) return "svid";
    if (name === names.bundle || name === names.allBundles || name === domain) return "bundle";
    return undefined;
  };
}
