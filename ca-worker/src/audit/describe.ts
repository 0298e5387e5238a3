import type { SignetError } from "@signet/shared/errors";
import type { Issuance } from "../audit.ts";
import type { Caller } from "../types.ts";
import type { UntimedEvent } from "./event.ts";

export function describeIssuance(
  event: "signing" | "signed" | "repeated",
  { requestId, caller, grant, leaf, authority }: Issuance,
): UntimedEvent {
  return {
    event,
    requestId,
    ...describeCaller(caller),
    spiffeId: grant.spiffeId.toString(),
    ...(grant.dnsNames.length > 0 && { dnsNames: [...grant.dnsNames] }),
    rule: grant.rule,
    keyKind: grant.publicKey.kind,
    serialNumber: leaf.serialNumber,
    notAfter: iso(leaf.notAfter),
    authority,
  };
}

export function describeRefusal(requestId: string, error: SignetError, caller: Caller | undefined): UntimedEvent {
  return {
    event: "refused",
    requestId,
    ...(caller && describeCaller(caller)),
    code: error.code,
    reason: reasonOf(error),
    cause: nameOf(error.cause),
  };
}

function describeCaller({ workload, agent }: Caller) {
  return {
    issuer: workload.issuer,
    subject: workload.subject,
    tokenId: workload.tokenId,
    pod: workload.podName,
    podUid: workload.podUid,
    node: workload.nodeName,
    nodeUid: workload.nodeUid,
    agentPod: agent?.podName,
  };
}

const maxReasonCharacters = 500;

function reasonOf({ code, message, cause }: SignetError): string {
  // What was thrown by no code of ours has a message of its own, which may quote what it was given.
  return code === "internal" && cause !== undefined ? "something went wrong inside" : withoutSecrets(message);
}

/**
 * No message of ours quotes what a client sent. Should one ever, then a compact JWS (its header begins with `{"`) or a
 * PEM block still is not recorded.
 */
function withoutSecrets(reason: string): string {
  return reason
    .replace(/-----BEGIN.*/s, "[PEM]")
    .replace(/eyJ[\w-]*(?:\.[\w-]*)*/g, "[token]")
    .slice(0, maxReasonCharacters);
}

/** A library's message may quote what it was given; its name and its code do not. */
function nameOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.name;
}

/** RFC 3339 in UTC. */
export function iso(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString();
}
