import { SignetError } from "@signet/shared/errors";
import { expect, test } from "vitest";
import { failureCode } from "./failure-code.ts";

const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

test.each([
  { rule: "its own", error: refused, code: "ECONNREFUSED" },
  {
    rule: "that of its cause, at any depth",
    error: new SignetError("source-unavailable", "a", { cause: new TypeError("fetch failed", { cause: refused }) }),
    code: "ECONNREFUSED",
  },
  { rule: "none of Signet's", error: new SignetError("source-unavailable", "a"), code: undefined },
  { rule: "none where it is a number", error: new DOMException("late", "TimeoutError"), code: undefined },
  { rule: "none where it is no error", error: "ECONNREFUSED", code: undefined },
])("the code of a failure is $rule", ({ error, code }) => {
  expect(failureCode(error)).toBe(code);
});
