import type { SignetErrorCode } from "@signet/shared/errors";
import type { State } from "./svid/life.ts";

/** A workload as people and programs may see it: no key, no certificate, no token. Times are RFC 3339 in UTC. */
export interface WorkloadView {
  readonly spiffeId: string;
  readonly podName: string;
  readonly podUid: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** On the way to its next certificate; see `svid/life.ts`. */
  readonly state: State;
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly renewAt: string;
  /** When the certificate in use was received. */
  readonly lastIssuedAt: string;
  readonly issuedCount: number;
  readonly streams: number;
  /** Of the token in hand that lasts longest, which the next certificate is asked for with; null when there is none. */
  readonly tokenExpiresAt: string | null;
  /** Why the last request brought nothing, null once one has brought something. */
  readonly lastError: { readonly code: SignetErrorCode; readonly message: string } | null;
  readonly lastErrorAt: string | null;
  /** After a request that brought nothing: when the next one is due. */
  readonly nextTryAt: string | null;
}
