import type { Awaitable, LogFields, Logger } from "@signet/shared/deps";
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
  /** A batch came in; what becomes of its items is told for each of them, as `<requestId>-<index>`. */
  batch(requestId: string, items: number, agent: ServiceAccountClaims | undefined): void;
}

/** Audit events as log lines. */
export function logAudit(logger: Logger): Audit {
  return {
    signing: (issuance) => logger.info({ event: "signing", ...describe(issuance) }, "certificate about to be signed"),
    signed: (issuance) => logger.info({ event: "signed", ...describe(issuance) }, "certificate signed"),
    repeated: (issuance) => logger.info({ event: "repeated", ...describe(issuance) }, "certificate given out again"),
    refused(requestId, error, caller) {
      const fields = { event: "refused", requestId, ...(caller && describeCaller(caller)), code: error.code };
      logger.warn({ ...fields, reason: error.message, cause: causeOf(error) }, "certificate refused");
    },
    batch(requestId, items, agent) {
      logger.debug(
        { event: "batch", requestId, items, agentPod: agent?.podName },
        "batch of requests for certificates",
      );
    },
  };
}

function describe({ requestId, caller, grant, leaf, authority }: Issuance): LogFields {
  return {
    requestId,
    ...describeCaller(caller),
    spiffeId: grant.spiffeId.toString(),
    rule: grant.rule,
    keyKind: grant.publicKey.kind,
    serialNumber: leaf.serialNumber,
    notAfter: leaf.notAfter,
    authority,
  };
}

function describeCaller({ workload, agent }: Caller): LogFields {
  return {
    issuer: workload.issuer,
    subject: workload.subject,
    tokenId: workload.tokenId,
    pod: workload.podName,
    podUid: workload.podUid,
    node: workload.nodeName,
    agentPod: agent?.podName,
  };
}

/** The message of a cause that is ours; a library's may quote what it was given. */
function causeOf(error: SignetError): string | undefined {
  const { cause } = error;
  return cause instanceof Error ? ("code" in cause ? String(cause.code) : cause.name) : undefined;
}
