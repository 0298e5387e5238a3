import { DerReader } from "@signet/shared/der";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { makeKey, publicKeyDer } from "../../../test/support/csr.ts";
import { readPublicKey } from "../request/public-key.ts";
import type { Entitlement } from "../types.ts";
import { authorize } from "./grant.ts";

const id = "spiffe://cluster.local/ns/foo/sa/sleep";
const publicKey = readPublicKey(new DerReader(publicKeyDer(makeKey())));
const entitlement: Entitlement = {
  spiffeId: SpiffeId.parse(id),
  rule: "workloads",
  keys: ["p256"],
  defaultTtlSeconds: 3_600,
  maxTtlSeconds: 7_200,
  dnsNames: ["sleep.foo.svc"],
};
const grantFor = (uris: readonly string[], ttlSeconds?: number) =>
  authorize(entitlement, { publicKey, uris }, ttlSeconds);

describe("what a caller gets", () => {
  test.each([{ uris: [] }, { uris: [id] }])("is what it is entitled to, asked for by $uris", ({ uris }) => {
    const grant = grantFor(uris);
    expect(grant.spiffeId.toString()).toBe(id);
    expect(grant.publicKey).toBe(publicKey);
    expect(grant).toMatchObject({ dnsNames: ["sleep.foo.svc"], rule: "workloads" });
  });

  test.each([
    { rule: "another account", uri: "spiffe://cluster.local/ns/foo/sa/admin", code: "identity-not-entitled" },
    { rule: "another trust domain", uri: "spiffe://other/ns/foo/sa/sleep", code: "identity-not-entitled" },
    { rule: "the trust domain itself", uri: "spiffe://cluster.local", code: "identity-not-entitled" },
    { rule: "its own with a slash more", uri: `${id}/`, code: "csr-not-allowed" },
    { rule: "its own with a NUL", uri: `${id}\0`, code: "csr-not-allowed" },
    {
      rule: "its own with the scheme in upper case",
      uri: id.replace("spiffe", "SPIFFE"),
      code: "identity-not-entitled",
    },
    { rule: "its own in percent-encoding", uri: id.replace("sleep", "%73leep"), code: "csr-not-allowed" },
    { rule: "another scheme", uri: "https://example.com", code: "csr-not-allowed" },
    { rule: "an empty URI", uri: "", code: "csr-not-allowed" },
  ])("is not $rule: $code", ({ uri, code }) => {
    expect(() => grantFor([uri])).toThrow(expect.objectContaining({ code }));
  });

  test("is not two URIs, even where both are its own", () => {
    expect(() => grantFor([id, id])).toThrow(expect.objectContaining({ code: "csr-not-allowed" }));
  });

  test.each([
    { asked: undefined, given: 3_600 },
    { asked: 1, given: 1 },
    { asked: 7_199, given: 7_199 },
    { asked: 7_200, given: 7_200 },
    { asked: 7_201, given: 7_200 },
    { asked: Number.MAX_SAFE_INTEGER, given: 7_200 },
  ])("lives $given s where $asked is asked for", ({ asked, given }) => {
    expect(grantFor([], asked).ttlSeconds).toBe(given);
  });
});
