/**
 * Every fault that Signet knows, as one class with a closed list of codes. What a code means on the wire is decided at
 * the edge only: `ca-worker/src/respond/problem.ts` for HTTP, `node-agent/src/sds/status.ts` for gRPC and
 * `exitCodes` in the agent's command line.
 */

/** Codes of the CA; each is also the last part of a problem type, `urn:signet:problem:<code>`. */
export const caErrorCodes = [
  "malformed-request",
  "malformed-csr",
  "csr-not-allowed",
  "key-not-allowed",
  "token-missing",
  "token-not-accepted",
  "node-not-entitled",
  "identity-not-entitled",
  "not-found",
  "method-not-allowed",
  "body-too-large",
  "unsupported-media-type",
  "request-timeout",
  "rate-limited",
  "issuer-unavailable",
  "cannot-sign",
  "internal",
] as const;
export type CaErrorCode = (typeof caErrorCodes)[number];

/** Codes of the command lines, the agent and of data that either side reads. */
export const localErrorCodes = [
  "config-invalid",
  "authority-invalid",
  "authority-unavailable",
  "source-unavailable",
  "malformed-der",
  "malformed-pem",
  "malformed-certificate",
  "malformed-spiffe-id",
  "malformed-token",
  "malformed-json",
  "socket-unavailable",
  "socket-in-use",
  "admin-unavailable",
  "agent-unreachable",
  "token-expired",
  "wrong-node",
  "ca-unreachable",
  "ca-busy",
  "ca-refused",
  "ca-answer-invalid",
  "ca-identity-differs",
] as const;
export type LocalErrorCode = (typeof localErrorCodes)[number];

export type SignetErrorCode = CaErrorCode | LocalErrorCode;

export interface SignetErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which asking again can help. */
  readonly retryAfterSeconds?: number;
  /** Each fault of a document by itself, beginning with the path of its key, as `issuers.0.keys: missing`. */
  readonly faults?: readonly string[];
}

/** The only error class that Signet throws. `message` is for its operator; a client sees only what its code allows. */
export class SignetError extends Error {
  override readonly name = "SignetError";
  readonly code: SignetErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly faults: readonly string[] | undefined;

  constructor(code: SignetErrorCode, message: string, options: SignetErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.faults = options.faults;
  }
}

/** Gives `error` back if it is ours, else wraps it, so that a caught value always has a code and keeps its cause. */
export function asSignetError(error: unknown, code: SignetErrorCode, message?: string): SignetError {
  if (error instanceof SignetError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SignetError(code, message === undefined ? reason : `${message}: ${reason}`, { cause: error });
}
