import type { Awaitable } from "@signet/shared/deps";
import type { SignetError } from "@signet/shared/errors";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import type { Caller, Grant, Issued } from "./types.ts";

/** A certificate that is about to be signed, or that was signed. */
export interface Issuance {
  readonly requestId: string;
  readonly caller: Caller;
  readonly grant: Grant;
  readonly leaf: Pick<Issued, "serialNumber" | "notAfter">;
  /** Id of the authority. */
  readonly authority: string;
}

/** What happened to a request for a certificate, for those who read afterwards. No token, key or CSR is ever in it. */
export interface Audit {
  /**
   * Before the signature. Whoever does not get through here does not sign.
   * @throws SignetError `cannot-sign` when a place that must have the record cannot be had
   */
  signing(issuance: Issuance): Awaitable<void>;
  signed(issuance: Issuance): Awaitable<void>;
  /** The same request came again and got the same certificate, without a second signature. */
  repeated(issuance: Issuance): Awaitable<void>;
  refused(requestId: string, error: SignetError, caller: Caller | undefined): Awaitable<void>;
  /** A batch came in; what becomes of its items is told for each of them. */
  batch(requestId: string, items: number, agent: ServiceAccountClaims | undefined): void;
}
