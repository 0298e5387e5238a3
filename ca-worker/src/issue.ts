import type { Certificate, CertificateRequest } from "@signet/shared/ca-api";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { Audit } from "./audit.ts";
import { authenticate, authenticateAgent, authenticateWorkload, type Tokens } from "./authenticate/caller.ts";
import type { TokenVerifier, VerifiedToken } from "./authenticate/service-account.ts";
import type { AuthoritySource } from "./authority/source.ts";
import { authorize, type LeafPolicy } from "./authorize/policy.ts";
import type { Crypto } from "./crypto.ts";
import { readCsr } from "./request/csr.ts";
import { describeCertificate } from "./respond/certificate.ts";
import { requireIssuer } from "./sign/require-issuer.ts";
import type { Caller } from "./types.ts";

/** All that an issuance needs of its instance. */
export interface IssueDeps {
  readonly verifier: TokenVerifier;
  readonly agents: ReadonlySet<string> | "off";
  readonly allowedKeys: readonly PublicKeyKind[];
  readonly leaf: LeafPolicy;
  readonly authorities: AuthoritySource;
  readonly crypto: Crypto;
  readonly audit: Audit;
}

/** Step 1: the caller, by both tokens. Before any byte of the body is read. */
export function identify(tokens: Tokens, { verifier, agents }: IssueDeps): Promise<Caller> {
  return authenticate(tokens, verifier, agents);
}

/** Step 1 for those who ask for many workloads: the agent once, then {@link identifyWorkload} for each. */
export function identifyAgent(
  nodeToken: string | undefined,
  { verifier, agents }: IssueDeps,
): Promise<VerifiedToken | undefined> {
  return authenticateAgent(nodeToken, verifier, agents);
}

export function identifyWorkload(
  token: string | undefined,
  agent: VerifiedToken | undefined,
  { verifier, agents }: IssueDeps,
): Promise<Caller> {
  return authenticateWorkload(token, agent, verifier, agents);
}

/** Steps 2 to 5: from an authenticated caller's request to a certificate. */
export async function issue(
  requestId: string,
  caller: Caller,
  request: CertificateRequest,
  deps: IssueDeps,
): Promise<Certificate> {
  // Step 2: what the CSR proves and asks for.
  const csr = await readCsr(request.csr, deps.allowedKeys, deps.crypto);
  // Step 3: what the caller may have.
  const grant = authorize(caller, csr, request.ttlSeconds, deps.leaf);
  // Step 4: the signature.
  const { bundle, issuer } = await deps.authorities.current();
  const signing = requireIssuer(issuer);
  const issued = await signing.issue(grant);
  deps.audit.signed(requestId, caller, grant, issued, signing.authority.id);
  // Step 5: the answer.
  return describeCertificate(grant, issued, signing.authority, bundle);
}
