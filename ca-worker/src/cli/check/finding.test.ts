import { describe, expect, test } from "vitest";
import { findingOf, formatFinding } from "./finding.ts";

const text = `{
  // The first issuer.
  "issuers": [
    { "issuer": "a", "keys": "file:a" },
    { "issuer": "b",
      "keys": { "keys": [] }, "a.b": 1, "a": { "b": 2 } }
  ],
  "leaf": { "maxTtl": "1h" }
}
`;

describe("the place of a fault", () => {
  test.each([
    { rule: "a member", fault: "leaf: wrong", at: [8, 3] },
    { rule: "a member of a member", fault: "leaf.maxTtl: wrong", at: [8, 13] },
    { rule: "an element", fault: "issuers.1: wrong", at: [5, 5] },
    { rule: "a member of an element", fault: "issuers.1.keys: wrong", at: [6, 7] },
    { rule: "a key with a dot", fault: "issuers.1.a.b: wrong", at: [6, 31] },
    { rule: "a key that is missing, where it is missing", fault: "issuers.0.audiences: missing", at: [4, 5] },
    { rule: "an element that is not there", fault: "issuers.7.keys: wrong", at: [3, 3] },
    { rule: "a key of the document that is missing", fault: "trustDomain: missing", at: [1, 1] },
    { rule: "a name that only begins like a key", fault: "leafs: unknown", at: [1, 1] },
    { rule: "no key at all", fault: "the document: wrong", at: [1, 1] },
    { rule: "a syntax error, which tells it", fault: "line 3, column 9: wrong", at: [3, 9] },
  ])("is that of $rule", ({ fault, at: [line, column] }) => {
    expect(findingOf(text, "error", fault)).toMatchObject({ level: "error", line, column });
  });

  test("is none where there is no document", () => {
    expect(findingOf("", "error", "it is empty")).toEqual({
      ...{ level: "error", fault: "it is empty", line: undefined, column: undefined },
    });
  });
});

test("a finding is told in the form of compilers", () => {
  const finding = { level: "warning", fault: "leaf: odd", line: 8, column: 3 } as const;
  expect(formatFinding("ca.jsonc", finding)).toBe("ca.jsonc:8:3: warning: leaf: odd");
  expect(formatFinding("ca.jsonc", { ...finding, line: undefined })).toBe("ca.jsonc: warning: leaf: odd");
});
