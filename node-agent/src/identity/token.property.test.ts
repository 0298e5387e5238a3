import { AccountPath } from "@signet/shared/account-path";
import { SignetError } from "@signet/shared/errors";
import { TrustDomain } from "@signet/shared/spiffe-id";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCaller } from "./caller.ts";
import { readToken, tokenHeaders } from "./token.ts";

const value = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.stringMatching(/^(Bearer )?[\w-]*\.[\w-]*\.[\w-]*$/),
);
const headers = fc.dictionary(fc.constantFrom(...tokenHeaders), fc.array(value, { maxLength: 3 }));
const part = fc.json().map((json) => Buffer.from(json).toString("base64url"));
const token = fc.tuple(part, part, part).map((parts) => parts.join("."));
const claims = fc.record(
  {
    iss: fc.string(),
    aud: fc.oneof(fc.string(), fc.array(fc.string())),
    sub: fc.oneof(fc.string(), fc.constant("system:serviceaccount:foo:sleep")),
    iat: fc.double(),
    nbf: fc.double(),
    exp: fc.double(),
    "kubernetes.io": fc.record(
      {
        namespace: fc.constantFrom("foo", "..", ""),
        serviceaccount: fc.anything(),
        pod: fc.anything(),
        node: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const likelyToken = claims.map((payload) => `e30.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.c2ln`);

const checks = {
  now: () => 1_000,
  trustDomain: TrustDomain.parse("cluster.local"),
  accountPath: AccountPath.parse("/eu/{namespace}/{serviceAccount}"),
  nodeUid: () => "node",
};

/** A value, or a SignetError; anything else fails the property. */
function attempt(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
  }
}

test("any headers are read or refused with a code", () => {
  fc.assert(fc.property(headers, (given) => attempt(() => readToken({ get: (name) => given[name] ?? [] }))));
});

test("what is read could stand in an HTTP header", () => {
  fc.assert(
    fc.property(headers, (given) =>
      attempt(() => expect(readToken({ get: (name) => given[name] ?? [] })).toMatch(/^[\w.-]+$/)),
    ),
  );
});

test("any token is read or refused with a code, which never repeats the token", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), token, likelyToken), (given) => {
      try {
        readCaller(given, checks);
      } catch (error) {
        if (!(error instanceof SignetError)) throw error;
        if (given.length > 30) expect(error.message).not.toContain(given);
      }
    }),
  );
});
