import { Status } from "@grpc/grpc-js/build/src/constants.js";
import type { SignetError, SignetErrorCode } from "@signet/shared/errors";

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
  "ca-busy": Status.RESOURCE_EXHAUSTED,
  "ca-unreachable": Status.UNAVAILABLE,
};

export interface StreamEnd {
  readonly code: Status;
  readonly details: string;
}

export function streamEnd(error: SignetError): StreamEnd {
  const code = statusByCode[error.code];
  return code === undefined
    ? { code: Status.INTERNAL, details: "internal error; see the agent's log" }
    : { code, details: error.message };
}

export const drained: StreamEnd = { code: Status.UNAVAILABLE, details: "the agent is stopping" };
