import { problem, problemTypePrefix } from "@signet/shared/ca-api";
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

export type CaRefusalCode = (typeof refusals)[number] | "ca-refused";

export function isRefusal(error: SignetError): boolean {
  return error.code === "ca-refused" || includes(refusals, error.code);
}

/** What an answer that is no success means for whoever asked. */
export function readFailure(answer: HttpAnswer): SignetError {
  const { status } = answer;
  const told = readProblem(answer.body);
  const title = told?.title.slice(0, longestTitle) ?? `HTTP status ${status}`;
  const request = told?.requestId === undefined ? "" : ` (request ${told.requestId.slice(0, 64)})`;
  const failure = (code: SignetErrorCode, verb: string) => {
    const retryAfterSeconds = readRetryAfter(answer.header("retry-after"));
    return new SignetError(
      code,
      `the CA ${verb}: ${title}${request}`,
      retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
    );
  };
  if (status === 408 || status === 429 || status >= 500) return failure("ca-busy", "cannot answer now");
  if ([400, 401, 403, 413, 415, 422].includes(status)) {
    const code = told?.type.startsWith(problemTypePrefix) ? told.type.slice(problemTypePrefix.length) : "";
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

function readProblem(body: string): v.InferOutput<typeof problem> | undefined {
  try {
    const result = v.safeParse(problem, JSON.parse(body));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

// RFC 9110 §10.2.3; the form with a date is not used between machines that know each other.
function readRetryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}
