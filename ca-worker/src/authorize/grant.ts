import { SignetError } from "@signet/shared/errors";
import type { Entitlement, Grant, ParsedCsr } from "../types.ts";

/**
 * Step 4: what the leaf will say. The identity comes from the token alone; a CSR may name the same one or none.
 * @param ttlSeconds wished life, which is shortened to the entitlement's
 * @throws SignetError `identity-not-entitled` or `csr-not-allowed`
 */
export function authorize(entitlement: Entitlement, csr: ParsedCsr, ttlSeconds: number | undefined): Grant {
  const { spiffeId, dnsNames, rule, defaultTtlSeconds, maxTtlSeconds } = entitlement;
  if (csr.uris.length > 1) throw new SignetError("csr-not-allowed", "the CSR asks for more than one URI");
  const [uri] = csr.uris;
  if (uri !== undefined && uri !== spiffeId.toString()) {
    const code = uri.startsWith("spiffe://") ? "identity-not-entitled" : "csr-not-allowed";
    throw new SignetError(code, "the CSR asks for another identity than its token's");
  }
  const ttl = Math.min(ttlSeconds ?? defaultTtlSeconds, maxTtlSeconds);
  return { spiffeId, dnsNames, publicKey: csr.publicKey, ttlSeconds: ttl, rule };
}
