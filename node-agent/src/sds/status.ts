import type { SignetError, SignetErrorCode } from "@signet/shared/errors";
import { type CallEnd, Status } from "../grpc/status.ts";

/** How a stream ends for each reason that it can end for; what is not here is our own fault. */
const statusByCode: Partial<Record<SignetErrorCode, Status>> = {
  "token-missing": Status.UNAUTHENTICATED,
  "malformed-token": Status.UNAUTHENTICATED,
  "token-expired": Status.UNAUTHENTICATED,
  "token-not-accepted": Status.UNAUTHENTICATED,
  "wrong-node": Status.PERMISSION_DENIED,
  "node-not-entitled": Status.PERMISSION_DENIED,
  "identity-not-entitled": Status.PERMISSION_DENIED,
  "csr-not-allowed": Status.PERMISSION_DENIED,
  "key-not-allowed": Status.PERMISSION_DENIED,
  "malformed-csr": Status.PERMISSION_DENIED,
  "ca-refused": Status.PERMISSION_DENIED,
  "malformed-request": Status.INVALID_ARGUMENT,
  "not-found": Status.NOT_FOUND,
  "ca-busy": Status.RESOURCE_EXHAUSTED,
  "ca-unreachable": Status.UNAVAILABLE,
};

export function streamEnd(error: SignetError): CallEnd {
  const code = statusByCode[error.code];
  return code === undefined
    ? { code: Status.INTERNAL, message: "internal error; see the agent's log" }
    : { code, message: error.message };
}

export const drained: CallEnd = { code: Status.UNAVAILABLE, message: "the agent is stopping" };
