import { SignetError } from "@signet/shared/errors";
import { SpiffeId } from "@signet/shared/spiffe-id";
import type { Caller, Grant, ParsedCsr } from "../types.ts";

/** What the configuration says of leaves, in seconds. */
export interface LeafPolicy {
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
}

/**
 * Step 3: the identity comes from the token alone; a CSR may name the same one or none.
 * @throws SignetError `identity-not-entitled` or `csr-not-allowed`
 */
export function authorize(caller: Caller, csr: ParsedCsr, ttlSeconds: number | undefined, policy: LeafPolicy): Grant {
  const { namespace, serviceAccount } = caller.workload;
  const spiffeId = SpiffeId.ofServiceAccount(caller.trustDomain, namespace, serviceAccount);
  if (csr.uris.length > 1) throw new SignetError("csr-not-allowed", "the CSR asks for more than one URI");
  const [uri] = csr.uris;
  if (uri !== undefined && uri !== spiffeId.toString()) {
    const code = uri.startsWith("spiffe://") ? "identity-not-entitled" : "csr-not-allowed";
    throw new SignetError(code, "the CSR asks for another identity than its token's");
  }
  const ttl = Math.min(ttlSeconds ?? policy.defaultTtlSeconds, policy.maxTtlSeconds);
  return { spiffeId, publicKey: csr.publicKey, ttlSeconds: ttl };
}
