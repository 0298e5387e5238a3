import { expect, test } from "vitest";
import { isRefusal, readFailure } from "./problem.ts";

const answer = (status: number, body = "", headers: Record<string, string> = {}) => ({
  status,
  body,
  header: (name: string) => headers[name],
});
const problem = (code: string) => JSON.stringify({ type: `urn:signet:problem:${code}`, title: "Title", status: 0 });

test.each([
  { status: 401, body: problem("token-not-accepted"), code: "token-not-accepted", refusal: true },
  { status: 403, body: problem("identity-not-entitled"), code: "identity-not-entitled", refusal: true },
  { status: 403, body: "<html>", code: "identity-not-entitled", refusal: true },
  { status: 400, body: problem("of-tomorrow"), code: "ca-refused", refusal: true },
  { status: 413, body: "", code: "ca-refused", refusal: true },
  { status: 404, body: problem("not-found"), code: "ca-answer-invalid", refusal: false },
  { status: 302, body: "", code: "ca-answer-invalid", refusal: false },
  { status: 200, body: "", code: "ca-answer-invalid", refusal: false },
  { status: 429, body: problem("rate-limited"), code: "ca-busy", refusal: false },
  { status: 503, body: problem("issuer-unavailable"), code: "issuer-unavailable", refusal: false },
  { status: 431, body: "", code: "ca-refused", refusal: true },
  { status: 500, body: "", code: "ca-busy", refusal: false },
  // A code that is no refusal does not become one by its status.
  { status: 401, body: problem("ca-busy"), code: "token-not-accepted", refusal: true },
])("HTTP $status $body is $code", ({ status, body, code, refusal }) => {
  const error = readFailure(answer(status, body));
  expect(error.code).toBe(code);
  expect(isRefusal(error)).toBe(refusal);
});

test.each([
  { header: "17", seconds: 17 },
  { header: "Wed, 21 Oct 2026 07:28:00 GMT", seconds: 28 },
  { header: "Wed, 21 Oct 2026 07:27:00 GMT", seconds: 0 },
  { header: "Wed, 99 Oct 2026 07:28:00 GMT", seconds: undefined },
  { header: "tomorrow", seconds: undefined },
  { header: "-1", seconds: undefined },
])("retry-after $header", ({ header, seconds }) => {
  const now = () => Date.UTC(2026, 9, 21, 7, 27, 32);
  expect(readFailure(answer(503, "", { "retry-after": header }), now).retryAfterSeconds).toBe(seconds);
});
