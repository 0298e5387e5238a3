import { type Problem, problemContentType, problemTypePrefix } from "@signet/shared/ca-api";
import { type CaErrorCode, caErrorCodes, type SignetError } from "@signet/shared/errors";
import { commonHeaders } from "./headers.ts";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Whether the error's own message may go to the client. Never for 401: it would help to find a token that works. */
  readonly tellsWhy: boolean;
}

export const problemKinds = {
  "malformed-request": { status: 400, title: "The request is malformed", tellsWhy: true },
  "malformed-csr": { status: 400, title: "The CSR is malformed", tellsWhy: true },
  "csr-not-allowed": { status: 400, title: "The CSR asks for what is never granted", tellsWhy: true },
  "key-not-allowed": { status: 400, title: "The key is not allowed", tellsWhy: true },
  "token-missing": { status: 401, title: "A token is missing", tellsWhy: false },
  "token-not-accepted": { status: 401, title: "The token is not accepted", tellsWhy: false },
  "node-not-entitled": { status: 403, title: "The agent may not ask for this workload", tellsWhy: false },
  "identity-not-entitled": { status: 403, title: "The workload may not have this identity", tellsWhy: false },
  "not-found": { status: 404, title: "There is nothing at this path", tellsWhy: false },
  "method-not-allowed": { status: 405, title: "The method is not allowed here", tellsWhy: false },
  "body-too-large": { status: 413, title: "The body is too large", tellsWhy: true },
  "unsupported-media-type": { status: 415, title: "The content type is not supported", tellsWhy: true },
  "request-timeout": { status: 408, title: "The request did not arrive in time", tellsWhy: true },
  "rate-limited": { status: 429, title: "Too many requests", tellsWhy: false },
  "issuer-unavailable": { status: 503, title: "The token issuer's keys cannot be had now", tellsWhy: false },
  "cannot-sign": { status: 503, title: "Nothing can be signed now", tellsWhy: false },
  internal: { status: 500, title: "Something went wrong inside", tellsWhy: false },
} as const satisfies Record<CaErrorCode, ProblemKind>;

/** The code under which an error goes to the client: one of the CA's, or `internal`. */
export function publicCode(error: SignetError): CaErrorCode {
  // What the store or the document does wrong is one thing to a client: no signature now.
  if (error.code === "authority-invalid" || error.code === "authority-unavailable") return "cannot-sign";
  return caErrorCodes.find((code) => code === error.code) ?? "internal";
}

/** An error as RFC 9457 problem details. */
export function describeProblem(error: SignetError, requestId: string): Problem {
  const code = publicCode(error);
  const { status, title, tellsWhy }: ProblemKind = problemKinds[code];
  return {
    type: `${problemTypePrefix}${code}`,
    title,
    status,
    ...(tellsWhy && { detail: error.message }),
    requestId,
  };
}

/** Seconds after which asking again can help; undefined where waiting does not. */
export function retryAfterSeconds(error: SignetError): number | undefined {
  const { status } = problemKinds[publicCode(error)];
  return error.retryAfterSeconds ?? (status === 503 || status === 429 ? 5 : undefined);
}

/** The answer to a request that failed. */
export function problemResponse(error: SignetError, requestId: string): Response {
  const problem = describeProblem(error, requestId);
  const { status } = problem;
  const headers = new Headers({ ...commonHeaders(requestId), "content-type": problemContentType });
  if (status === 401) headers.set("www-authenticate", "Bearer");
  const retryAfter = retryAfterSeconds(error);
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  return new Response(JSON.stringify(problem), { status, headers });
}
