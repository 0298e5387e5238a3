import { type Problem, problem, problemTypePrefix } from "@signet/shared/ca-api";
import { type CaErrorCode, SignetError, type SignetErrorCode } from "@signet/shared/errors";
import * as v from "valibot";
import type { HttpAnswer } from "./exchange.ts";

const longestTitle = 200;

/** Codes with which the CA says that the same question will get the same answer. */
const refusals = [
  "malformed-request",
  "malformed-csr",
  "csr-not-allowed",
  "key-not-allowed",
  "token-missing",
  "token-not-accepted",
  "node-not-entitled",
  "identity-not-entitled",
] as const satisfies readonly CaErrorCode[];

// The last is what a server says to a token that makes the headers too large.
const refusalStatuses = [400, 401, 403, 413, 415, 422, 431];

export type CaRefusalCode = (typeof refusals)[number] | "ca-refused";

export function isRefusal(error: SignetError): boolean {
  return error.code === "ca-refused" || includes(refusals, error.code);
}

/**
 * Whether an error says something about the CA that was asked, rather than about the one request: a pod that sends what
 * makes a request fail must not make the CA be set aside for all others.
 */
export function blamesCa(error: SignetError): boolean {
  return error.code === "ca-unreachable" || error.code === "ca-busy" || error.code === "ca-answer-invalid";
}

/** A failure as it stands in an answer, or in one item of the answer to a batch. */
export interface Failure {
  readonly status: number;
  readonly problem: Problem | undefined;
  readonly retryAfterSeconds: number | undefined;
}

/** What an answer that is no success means for whoever asked. */
export function readFailure(told: HttpAnswer | Failure, now: () => number = Date.now): SignetError {
  const { status } = told;
  const { problem, retryAfterSeconds } =
    "problem" in told
      ? told
      : { problem: readProblemOf(told), retryAfterSeconds: readRetryAfter(told.header("retry-after"), now) };
  const title = problem?.title.slice(0, longestTitle) ?? `HTTP status ${status}`;
  const request = problem?.requestId === undefined ? "" : ` (request ${problem.requestId.slice(0, 64)})`;
  const failure = (code: SignetErrorCode, verb: string) =>
    new SignetError(
      code,
      `the CA ${verb}: ${title}${request}`,
      retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
    );
  const code = problem?.type.startsWith(problemTypePrefix) ? problem.type.slice(problemTypePrefix.length) : "";
  // The keys of this one token's issuer cannot be had; other tokens may well be served.
  if (code === "issuer-unavailable" && status >= 500) return failure(code, "cannot answer now");
  if (status === 408 || status === 429 || status >= 500) return failure("ca-busy", "cannot answer now");
  if (refusalStatuses.includes(status)) {
    return failure(includes(refusals, code) ? code : fallbackCode(status), "refuses");
  }
  // 404 and redirects are what a wrong --ca-url or a proxy in between looks like: nothing that was said about a token.
  return failure("ca-answer-invalid", "gives an answer that is none of its API");
}

function fallbackCode(status: number): CaRefusalCode {
  if (status === 401) return "token-not-accepted";
  return status === 403 ? "identity-not-entitled" : "ca-refused";
}

function includes<const Code extends string>(codes: readonly Code[], code: string): code is Code {
  return (codes as readonly string[]).includes(code);
}

/** The problem that an answer carries, of Signet or of another; undefined for none. */
export function readProblemOf({ body }: Pick<HttpAnswer, "body">): Problem | undefined {
  try {
    const result = v.safeParse(problem, JSON.parse(body));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

// RFC 9110 §10.2.3: seconds, or a date in the one form that is still sent.
function readRetryAfter(value: string | undefined, now: () => number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,6}$/.test(value)) return Number(value);
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(value)) return undefined;
  const seconds = Math.ceil((Date.parse(value) - now()) / 1_000);
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
