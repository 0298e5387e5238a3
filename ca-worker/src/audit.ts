import type { LogFields, Logger } from "@signet/shared/deps";
import type { SignetError } from "@signet/shared/errors";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import type { Caller, Grant, Issued } from "./types.ts";

/** What happened to a request for a certificate, for those who read afterwards. No token, key or CSR is ever in it. */
export interface Audit {
  signed(requestId: string, caller: Caller, grant: Grant, issued: Issued, authority: string): void;
  refused(requestId: string, error: SignetError, caller: Caller | undefined): void;
  /** A batch came in; what becomes of its items is told for each of them, as `<requestId>-<index>`. */
  batch(requestId: string, items: number, agent: ServiceAccountClaims | undefined): void;
}

/** Audit events as log lines. */
export function logAudit(logger: Logger): Audit {
  return {
    signed(requestId, caller, grant, issued, authority) {
      logger.info(
        {
          event: "signed",
          requestId,
          ...describeCaller(caller),
          spiffeId: grant.spiffeId.toString(),
          keyKind: grant.publicKey.kind,
          serialNumber: issued.serialNumber,
          notAfter: issued.notAfter,
          authority,
        },
        "certificate signed",
      );
    },
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
