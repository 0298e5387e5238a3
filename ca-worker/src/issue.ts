import type { Certificate, CertificateRequest } from "@signet/shared/ca-api";
import type { Audit } from "./audit.ts";
import { authenticate, authenticateAgent, authenticateWorkload, type Tokens } from "./authenticate/caller.ts";
import type { TokenVerifier, VerifiedToken } from "./authenticate/service-account.ts";
import type { AuthoritySources } from "./authority/sources.ts";
import { authorize } from "./authorize/grant.ts";
import { entitle, type Policy } from "./authorize/policy.ts";
import type { Crypto } from "./crypto.ts";
import { readCsr } from "./request/csr.ts";
import { describeCertificate } from "./respond/certificate.ts";
import { requireIssuer } from "./sign/require-issuer.ts";
import type { Caller } from "./types.ts";

/** All that an issuance needs of its instance. */
export interface IssueDeps {
  readonly verifier: TokenVerifier;
  readonly policy: Policy;
  readonly authorities: AuthoritySources;
  readonly crypto: Crypto;
  readonly audit: Audit;
}

/** Step 1: the caller, by both tokens. Before any byte of the body is read. */
export function identify(tokens: Tokens, { verifier }: IssueDeps): Promise<Caller> {
  return authenticate(tokens, verifier);
}

/** Step 1 for those who ask for many workloads: the agent once, then {@link identifyWorkload} for each. */
export function identifyAgent(
  nodeToken: string | undefined,
  { verifier }: IssueDeps,
): Promise<VerifiedToken | undefined> {
  return authenticateAgent(nodeToken, verifier);
}

export function identifyWorkload(
  token: string | undefined,
  agent: VerifiedToken | undefined,
  { verifier }: IssueDeps,
): Promise<Caller> {
  return authenticateWorkload(token, agent, verifier);
}

/** Steps 2 to 6: from an authenticated caller's request to a certificate. */
export async function issue(
  requestId: string,
  caller: Caller,
  request: CertificateRequest,
  deps: IssueDeps,
): Promise<Certificate> {
  // Step 2: what the policy lets the caller have.
  const entitlement = await entitle(caller, deps.policy);
  // Step 3: what the CSR proves and asks for.
  const csr = await readCsr(request.csr, entitlement.keys, deps.crypto);
  // Step 4: what the caller gets of that.
  const grant = authorize(entitlement, csr, request.ttlSeconds);
  // Step 5: the signature.
  const { bundle, issuer } = await deps.authorities.of(caller.trustDomain).current();
  const { authority, prepare } = requireIssuer(issuer);
  const leaf = prepare(grant);
  const issuance = { requestId, caller, grant, leaf, authority: authority.id };
  // What cannot be recorded is not signed.
  await deps.audit.signing(issuance);
  const issued = await leaf.sign();
  await deps.audit.signed(issuance);
  // Step 6: the answer.
  return describeCertificate(grant, issued, authority, bundle);
}
