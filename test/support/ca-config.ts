import type { JWK } from "jose";
import { caAudience, kubernetesIssuer } from "./token-issuer.ts";

export const trustDomain = "cluster.local";
export const agentServiceAccount = { namespace: "signet-system", name: "signet-node-agent" };

export interface CaConfigOptions {
  readonly issuer?: string;
  /** A key set, or a place to take it from: `file:...`, a URL. */
  readonly keys: { readonly keys: readonly JWK[] } | string;
  readonly store?: string;
  /** Life of a leaf; the same for the longest allowed unless told. */
  readonly leafTtl?: string;
  readonly maxTtl?: string;
}

/** The CA's configuration document (the same on every platform) as tests and the demo need it. */
export function caConfig({
  issuer = kubernetesIssuer,
  keys,
  store = "file:./.signet/authority.json",
  leafTtl = "1h",
  maxTtl = "24h",
}: CaConfigOptions) {
  return {
    trustDomain,
    authority: { store },
    issuers: [{ issuer, audiences: [caAudience], keys }],
    nodeBinding: { agents: [`${agentServiceAccount.namespace}/${agentServiceAccount.name}`] },
    leaf: { defaultTtl: leafTtl, maxTtl },
  };
}

export type CaConfig = ReturnType<typeof caConfig>;
