import { SpiffeId } from "@signet/shared/spiffe-id";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { brokenIdRules } from "./spiffe-rules.ts";

const rulesOf = (text: string) => [...new Set(brokenIdRules(text).map(({ rule }) => rule))].sort();

describe("the rules of SPIFFE IDs", () => {
  test.each([
    "spiffe://cluster.local/ns/foo/sa/sleep",
    "spiffe://cluster.local",
    "SPIFFE://Cluster.Local/A.b_c-D",
    "spiffe://10.0.0.1/a",
  ])("none is broken by %s", (id) => {
    expect(brokenIdRules(id)).toEqual([]);
  });

  test("none is broken by the longest ID, nor by the longest trust domain", () => {
    expect(brokenIdRules(`spiffe://a/${"a".repeat(2_048 - 11)}`)).toEqual([]);
    expect(brokenIdRules(`spiffe://${"a".repeat(255)}/a`)).toEqual([]);
    expect(rulesOf(`spiffe://a/${"a".repeat(2_048)}`)).toEqual(["I4"]);
    expect(rulesOf(`spiffe://${"a".repeat(256)}/a`)).toEqual(["I2"]);
  });

  test.each([
    ["https://a/b", ["I1"]],
    ["spiffe:/a/b", ["I1"]],
    ["", ["I1"]],
    ["spiffe:///b", ["I1"]],
    ["spiffe://a/b?c", ["I1"]],
    ["spiffe://a/b#c", ["I1"]],
    ["spiffe://user@a/b", ["I1"]],
    ["spiffe://a:80/b", ["I1"]],
    ["spiffe://a:/b", ["I1"]],
    ["spiffe://[::1]/b", ["I2"]],
    ["spiffe://a%20b/c", ["I2"]],
    ["spiffe://ä/c", ["I2"]],
    ["spiffe://a/", ["I3"]],
    ["spiffe://a//b", ["I3"]],
    ["spiffe://a/./b", ["I3"]],
    ["spiffe://a/..", ["I3"]],
    ["spiffe://a/b%20c", ["I3"]],
    ["spiffe://a/b:c", ["I3"]],
    ["spiffe://A B//c?d", ["I1", "I2", "I3"]],
  ])("%s breaks %j", (id, rules) => {
    expect(rulesOf(id)).toEqual(rules);
  });

  test("one is broken exactly where the text is no SPIFFE ID", () => {
    const parses = (text: string) => {
      try {
        SpiffeId.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    const pieces = fc.constantFrom(
      "spiffe://",
      "SPIFFE:",
      "a",
      "B",
      ".",
      "..",
      "/",
      ":",
      "@",
      "%41",
      "?",
      "#",
      "[",
      "ä",
      "_",
      "\0",
      " ",
    );
    const texts = fc.array(pieces, { maxLength: 12 }).map((list) => list.join(""));
    fc.assert(
      fc.property(
        fc.oneof(
          texts,
          texts.map((text) => `spiffe://${text}`),
          fc.string({ unit: "binary" }),
        ),
        (text) => {
          expect(brokenIdRules(text).length === 0).toBe(parses(text));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
