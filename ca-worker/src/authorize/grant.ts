import { SignetError } from "@signet/shared/errors";
import { SpiffeId } from "@signet/shared/spiffe-id";
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
    if (!isSpiffeId(uri)) throw new SignetError("csr-not-allowed", "the CSR asks for a URI that is no SPIFFE ID");
    throw new SignetError("identity-not-entitled", "the CSR asks for another identity than its token's");
  }
  const ttl = Math.min(ttlSeconds ?? defaultTtlSeconds, maxTtlSeconds);
  return { spiffeId, dnsNames, publicKey: csr.publicKey, ttlSeconds: ttl, rule };
}

function isSpiffeId(uri: string): boolean {
  try {
    SpiffeId.parse(uri);
    return true;
  } catch {
    return false;
  }
}
