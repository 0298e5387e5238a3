import type { SignetErrorCode } from "@signet/shared/errors";

/** One URL of the CA as people and programs may see it: no credentials, no body. Times are seconds since the epoch. */
export interface CaEndpointView {
  /** Without credentials, as configured otherwise. */
  readonly url: string;
  /** `failing`: set aside until `retryAt`, then tried with one request. */
  readonly state: "untried" | "healthy" | "failing";
  readonly lastSuccessAt?: number;
  readonly lastFailureAt?: number;
  /** What the last failure was; kept after a success, so compare the two times. */
  readonly lastError?: { readonly code: SignetErrorCode; readonly message: string };
  /** When it is tried again, only while `failing`. */
  readonly retryAt?: number;
}
