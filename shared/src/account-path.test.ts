import { describe, expect, test } from "vitest";
import { AccountPath, defaultAccountPath } from "./account-path.ts";
import { SpiffeId, TrustDomain } from "./spiffe-id.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-spiffe-id" });
const trustDomain = TrustDomain.parse("example.org");

describe("the path of a service account's SPIFFE ID", () => {
  test.each([
    [defaultAccountPath, "/ns/foo/sa/sleep"],
    ["/{namespace}/{serviceAccount}", "/foo/sleep"],
    ["/{serviceAccount}/of/{namespace}", "/sleep/of/foo"],
    ["/prod/Eu_1/ns/{namespace}/sa/{serviceAccount}/x", "/prod/Eu_1/ns/foo/sa/sleep/x"],
  ])("%s gives %s", (template, path) => {
    const id = AccountPath.parse(template).idOf(trustDomain, "foo", "sleep");
    expect(id.toString()).toBe(`spiffe://example.org${path}`);
    expect(id.equals(SpiffeId.parse(`spiffe://example.org${path}`))).toBe(true);
  });

  test("names are put in as they are, whatever they look like", () => {
    const id = AccountPath.parse("/{namespace}/{serviceAccount}").idOf(trustDomain, "sa", "a.b-c");
    expect(id.path).toBe("/sa/a.b-c");
    expect(() => AccountPath.parse("/{namespace}/{serviceAccount}").idOf(trustDomain, "foo", "{namespace}")).toThrow(
      malformed,
    );
  });

  test.each(["", "a/b", "..", "foo/sa/admin", "%61", "a\u0000"])("the name %j makes no ID", (name) => {
    const path = AccountPath.parse(defaultAccountPath);
    expect(() => path.idOf(trustDomain, "foo", name)).toThrow(malformed);
    expect(() => path.idOf(trustDomain, name, "sleep")).toThrow(malformed);
  });

  test("the longest names that Kubernetes has fit", () => {
    const [namespace, account] = ["n".repeat(63), "a".repeat(253)];
    const id = AccountPath.parse(defaultAccountPath).idOf(trustDomain, namespace, account);
    expect(id.toString()).toBe(`spiffe://example.org/ns/${namespace}/sa/${account}`);
  });

  test.each<[string, string, boolean]>([
    [defaultAccountPath, defaultAccountPath, false],
    // Namespace "ns" of the second is any namespace of the first.
    [defaultAccountPath, "/{namespace}/prod/sa/{serviceAccount}", true],
    [defaultAccountPath, "/ns/{serviceAccount}/sa/{namespace}", true],
    [defaultAccountPath, "/{namespace}/{serviceAccount}/sa/x", true],
    [defaultAccountPath, "/{namespace}/prod/SA/{serviceAccount}", false],
    [defaultAccountPath, "/{namespace}/{serviceAccount}", false],
    [defaultAccountPath, "/cluster-1/{namespace}/sa/{serviceAccount}", false],
    ["/a/{namespace}/{serviceAccount}", "/b/{namespace}/{serviceAccount}", false],
    ["/a/{namespace}/{serviceAccount}", "/{namespace}/b/{serviceAccount}", true],
    ["/A/{namespace}/{serviceAccount}", "/{namespace}/b/{serviceAccount}", false],
    // Accounts may have dots, namespaces may not.
    ["/a.b/{namespace}/{serviceAccount}", "/{namespace}/b/{serviceAccount}", false],
    ["/a.b/{namespace}/{serviceAccount}", "/{serviceAccount}/b/{namespace}", true],
    ["/constructor/{namespace}/{serviceAccount}", "/toString/{namespace}/{serviceAccount}", false],
  ])("%s beside %s lets one account have another's ID: %s", (one, other, collides) => {
    const [first, second] = [AccountPath.parse(one), AccountPath.parse(other)];
    expect([first.collidesWith(second), second.collidesWith(first)]).toEqual([collides, collides]);
  });

  test.each([
    "",
    "/",
    "ns/{namespace}/sa/{serviceAccount}",
    "spiffe://td/ns/{namespace}/sa/{serviceAccount}",
    "/ns/{namespace}",
    "/sa/{serviceAccount}",
    "/{namespace}/{namespace}/{serviceAccount}",
    "/{namespace}-{serviceAccount}",
    "/{namespace}/sa-{serviceAccount}",
    "/{namespace}/{serviceAccount}/",
    "/{namespace}//{serviceAccount}",
    "/../{namespace}/{serviceAccount}",
    "/{namespace}/{serviceaccount}",
    "/{podName}/{namespace}/{serviceAccount}",
    "/{namespace}/{serviceAccount}?a",
    "/%7Bnamespace}/{namespace}/{serviceAccount}",
    `/${"x".repeat(2_048)}/{namespace}/{serviceAccount}`,
  ])("refuse %s", (template) => {
    expect(() => AccountPath.parse(template)).toThrow(malformed);
  });
});
