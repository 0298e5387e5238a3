import { DerReader } from "@signet/shared/der";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { makeKey, publicKeyDer } from "../../../test/support/csr.ts";
import { readPublicKey } from "../request/public-key.ts";
import type { Caller } from "../types.ts";
import { authorize } from "./policy.ts";

const id = "spiffe://cluster.local/ns/foo/sa/sleep";
const publicKey = readPublicKey(new DerReader(publicKeyDer(makeKey())));
const claims = (namespace = "foo", serviceAccount = "sleep") => ({ namespace, serviceAccount }) as ServiceAccountClaims;
const caller: Caller = {
  trustDomain: TrustDomain.parse("cluster.local"),
  workload: claims(),
  agent: claims("signet-system", "agent"),
};
const policy = { defaultTtlSeconds: 3_600, maxTtlSeconds: 7_200 };
const grantFor = (uris: readonly string[], ttlSeconds?: number, limits = policy) =>
  authorize(caller, { publicKey, uris }, ttlSeconds, limits);

describe("what a caller may have", () => {
  test.each([{ uris: [] }, { uris: [id] }])("its own identity and the CSR's key, asked for by $uris", ({ uris }) => {
    const grant = grantFor(uris);
    expect(grant.spiffeId.toString()).toBe(id);
    expect(grant.publicKey).toBe(publicKey);
  });

  test("the trust domain is the issuer's", () => {
    const { spiffeId } = authorize(
      { ...caller, trustDomain: TrustDomain.parse("other") },
      { publicKey, uris: [] },
      1,
      policy,
    );
    expect(spiffeId.toString()).toBe("spiffe://other/ns/foo/sa/sleep");
  });

  test.each([
    { rule: "another account", uri: "spiffe://cluster.local/ns/foo/sa/admin", code: "identity-not-entitled" },
    { rule: "its agent", uri: "spiffe://cluster.local/ns/signet-system/sa/agent", code: "identity-not-entitled" },
    { rule: "another trust domain", uri: "spiffe://other/ns/foo/sa/sleep", code: "identity-not-entitled" },
    { rule: "the trust domain itself", uri: "spiffe://cluster.local", code: "identity-not-entitled" },
    { rule: "its own with a slash more", uri: `${id}/`, code: "identity-not-entitled" },
    { rule: "its own with a NUL", uri: `${id}\0`, code: "identity-not-entitled" },
    { rule: "its own with the scheme in upper case", uri: id.replace("spiffe", "SPIFFE"), code: "csr-not-allowed" },
    { rule: "its own in percent-encoding", uri: id.replace("sleep", "%73leep"), code: "identity-not-entitled" },
    { rule: "another scheme", uri: "https://example.com", code: "csr-not-allowed" },
    { rule: "an empty URI", uri: "", code: "csr-not-allowed" },
  ])("not $rule: $code", ({ uri, code }) => {
    expect(() => grantFor([uri])).toThrow(expect.objectContaining({ code }));
  });

  test("not two URIs, even where both are its own", () => {
    expect(() => grantFor([id, id])).toThrow(expect.objectContaining({ code: "csr-not-allowed" }));
  });

  test("no account whose name would change the path", () => {
    const workload = claims("foo/sa/admin", "sleep");
    expect(() => authorize({ ...caller, workload }, { publicKey, uris: [] }, 1, policy)).toThrow(
      expect.objectContaining({ code: "malformed-spiffe-id" }),
    );
  });

  test.each([
    { asked: undefined, given: 3_600 },
    { asked: 1, given: 1 },
    { asked: 7_199, given: 7_199 },
    { asked: 7_200, given: 7_200 },
    { asked: 7_201, given: 7_200 },
    { asked: Number.MAX_SAFE_INTEGER, given: 7_200 },
  ])("a life of $asked becomes $given", ({ asked, given }) => {
    expect(grantFor([], asked).ttlSeconds).toBe(given);
  });
});
