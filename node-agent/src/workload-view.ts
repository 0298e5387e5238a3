import type { SignetErrorCode } from "@signet/shared/errors";
import type { Workload } from "./svid/workload.ts";

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

export function viewOf({ caller, status }: Workload): WorkloadView {
  const { claims, spiffeId } = caller;
  const { issuedCount, lastError, notAfter, notBefore, receivedAt, renewAt, serialNumber, streams } = status;
  return {
    spiffeId: spiffeId.toString(),
    podName: claims.podName,
    podUid: claims.podUid,
    namespace: claims.namespace,
    serviceAccount: claims.serviceAccount,
    serialNumber,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    renewAt: iso(renewAt),
    lastIssuedAt: iso(receivedAt),
    issuedCount,
    streams,
    lastError: lastError === undefined ? null : { code: lastError.code, message: lastError.message },
  };
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}
