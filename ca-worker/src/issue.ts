import type { Certificate, CertificateRequest } from "@signet/shared/ca-api";
import type { SetTimer } from "@signet/shared/deps";
import type { Audit } from "./audit.ts";
import type { TokenVerifier } from "./authenticate/service-account.ts";
import type { AuthoritySources } from "./authority/sources.ts";
import { authorize } from "./authorize/grant.ts";
import { entitle, type Policy } from "./authorize/policy.ts";
import type { Crypto } from "./crypto.ts";
import { admit, type Queue, type RateLimits } from "./rate-limit/admit.ts";
import { type RecentCertificates, requestKey, type Signed } from "./repeat/recent.ts";
import { readCsr } from "./request/csr.ts";
import { describeCertificate } from "./respond/certificate.ts";
import { requireIssuer } from "./sign/require-issuer.ts";
import type { Caller } from "./types.ts";

/** All that an issuance needs of its instance. */
export interface IssueDeps {
  readonly verifier: TokenVerifier;
  readonly policy: Policy;
  readonly authorities: AuthoritySources;
  readonly limits: RateLimits;
  readonly recent: RecentCertificates;
  readonly crypto: Crypto;
  readonly audit: Audit;
  readonly setTimer: SetTimer;
}

/**
 * Steps 2 to 6: from an authenticated caller's request to a certificate.
 * @param queue of the batch that the request is an item of
 */
export async function issue(
  requestId: string,
  caller: Caller,
  request: CertificateRequest,
  deps: IssueDeps,
  queue?: Queue,
): Promise<Certificate> {
  const { audit, authorities, crypto, limits, policy, recent } = deps;
  await admit(caller, limits, queue);
  // Step 2: what the policy lets the caller have.
  const entitlement = await entitle(caller, policy);
  const { bundle, issuer } = await authorities.of(caller.trustDomain).current();
  const { authority, prepare } = requireIssuer(issuer);
  const key = await requestKey(caller, entitlement, request, crypto);
  const { grant, issued, repeated } = await recent.once(key, authority, sign);
  if (repeated) await audit.repeated({ requestId, caller, grant, leaf: issued, authority: authority.id });
  // Step 6: the answer.
  return describeCertificate(grant, issued, authority, bundle);

  async function sign(): Promise<Signed> {
    // Step 3: what the CSR proves and asks for.
    const csr = await readCsr(request.csr, entitlement.keys, crypto);
    // Step 4: what the caller gets of that.
    const grant = authorize(entitlement, csr, request.ttlSeconds);
    // Step 5: the signature. What cannot be recorded is not signed.
    const leaf = prepare(grant);
    const issuance = { requestId, caller, grant, leaf, authority: authority.id };
    await audit.signing(issuance);
    const issued = await leaf.sign();
    await audit.signed(issuance);
    return { grant, issued };
  }
}
