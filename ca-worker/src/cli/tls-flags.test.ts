import { describe, expect, test } from "vitest";
import { parseDnsNames } from "./tls-flags.ts";

describe("--tls-names", () => {
  test.each([
    { text: "signet-ca.signet-system.svc", names: ["signet-ca.signet-system.svc"] },
    { text: "a,b.c, a", names: ["a", "b.c"] },
    { text: "localhost", names: ["localhost"] },
    { text: "1.a", names: ["1.a"] },
    { text: `${"a".repeat(63)}.b`, names: [`${"a".repeat(63)}.b`] },
  ])("take $text", ({ text, names }) => {
    expect(parseDnsNames(text)).toEqual(names);
  });

  test.each([
    "",
    "a,",
    "A.b",
    "*.b",
    "a..b",
    "a.",
    "-a",
    "a-",
    "a_b",
    "10.0.0.1",
    "::1",
    "a b",
    "a\0b",
    "ä.b",
    "a/b",
    "a".repeat(64),
    Array.from({ length: 64 }, () => "abc").join("."),
  ])("refuse %j", (text) => {
    const refused = expect.objectContaining({
      code: "config-invalid",
      message: expect.stringContaining("--tls-names"),
    });
    expect(() => parseDnsNames(text)).toThrow(refused);
  });
});
