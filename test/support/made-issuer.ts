import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { tokenAlgorithms } from "@signet/shared/token-rules";
import type { KeySource } from "../../ca-worker/src/authenticate/key-source.ts";
import type { Issuer } from "../../ca-worker/src/authenticate/service-account.ts";

/** An issuer as the CA has it once it is configured: the defaults, and no keys unless told. */
export function madeIssuer(changes: Partial<Issuer> = {}): Issuer {
  return {
    issuer: "https://issuer",
    audiences: ["signet-ca"],
    trustDomain: TrustDomain.parse("cluster.local"),
    path: AccountPath.parse(defaultAccountPath),
    namespaces: undefined,
    agents: new Set(["signet-system/signet-node-agent"]),
    algorithms: tokenAlgorithms,
    maxTokenLifetimeSeconds: 86_400,
    keys: madeKeys(),
    review: undefined,
    ...changes,
  };
}

/** A source of no keys, or of what is told. */
export function madeKeys(changes: Partial<KeySource> = {}): KeySource {
  return {
    generation: 0,
    loadedAt: undefined,
    published: async () => [],
    warm: async () => {},
    find: async () => undefined,
    ...changes,
  };
}
