import { SignetError } from "@signet/shared/errors";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { describeRefusal, iso } from "./describe.ts";
import { auditEvent } from "./event.ts";

const reasonOf = (error: SignetError) => {
  const event = v.parse(auditEvent, { ...describeRefusal("4f", error, undefined), time: iso(1_000) });
  return event.event === "refused" ? { reason: event.reason, cause: event.cause } : undefined;
};
const token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";

describe("the reason of a refusal", () => {
  test("is the error's own message, with the name of what lies beneath", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED 10.0.0.1"), { code: "ECONNREFUSED" });
    const error = new SignetError("issuer-unavailable", "keys of issuer https://a: it answers 500", { cause });
    expect(reasonOf(error)).toEqual({ reason: "keys of issuer https://a: it answers 500", cause: "ECONNREFUSED" });
    expect(reasonOf(new SignetError("cannot-sign", "a", { cause: new TypeError(token) }))?.cause).toBe("TypeError");
    const late = new DOMException("late", "TimeoutError");
    expect(reasonOf(new SignetError("cannot-sign", "a", { cause: late }))?.cause).toBe("TimeoutError");
    expect(reasonOf(new SignetError("cannot-sign", "a", { cause: token }))?.cause).toBeUndefined();
  });

  test("is not what a library says, which may quote what it was given", () => {
    const error = new SignetError("internal", `cannot read ${token}`, { cause: new Error(`cannot read ${token}`) });
    expect(reasonOf(error)).toEqual({ reason: "something went wrong inside", cause: "Error" });
  });

  test("holds neither a token nor PEM, should a message of ours ever quote one", () => {
    const one = new SignetError("token-not-accepted", `token ${token}: no, and ${token.slice(0, 20)} neither`);
    expect(reasonOf(one)?.reason).toBe("token [token]: no, and [token] neither");
    const two = new SignetError("malformed-csr", "not PEM: -----BEGIN X-----\nAAAA\n-----END X-----\n at line 1");
    expect(reasonOf(two)?.reason).toBe("not PEM: [PEM]");
  });

  test("is no longer than people read", () => {
    expect(reasonOf(new SignetError("malformed-request", "a".repeat(10_000)))?.reason).toHaveLength(500);
  });
});
