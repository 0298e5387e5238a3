import type { SignetErrorCode } from "@signet/shared/errors";

/** A workload as people and programs may see it: no key, no certificate, no token. Times are RFC 3339 in UTC. */
export interface WorkloadView {
  readonly spiffeId: string;
  readonly podName: string;
  readonly podUid: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly renewAt: string;
  /** When the certificate in use was received. */
  readonly lastIssuedAt: string;
  readonly issuedCount: number;
  readonly streams: number;
  readonly lastError: { readonly code: SignetErrorCode; readonly message: string } | null;
}
