import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson } from "./strict-json.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-json" });
const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

describe("JSON that strangers wrote", () => {
  test.each([
    "null",
    "true",
    "1.5e3",
    '""',
    "[]",
    "{}",
    ' {"a" : [1, {"b": null}] } ',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"b:c:\\"d\\":","e":":"}',
    '{"a\\\\":"b\\\\","c":"\\\\\\""}',
    '{"":1,"a":2}',
    '{"__proto__":1,"constructor":2}',
    '{"1":1,"01":2}',
    '{"\u00e4":1,"a\u0308":2}',
    '{"\\ud83d\\ude00":"\\ud83d\\ude00"}',
    nested(16),
  ])("%s is read as JSON.parse reads it", (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  test.each([
    ["a name twice", '{"a":1,"a":1}'],
    ["a name twice, further in", '{"x":[{"y":{"a":1,"b":2,"a":3}}]}'],
    ["a name twice after unescaping", '{"aud":1,"\\u0061ud":2}'],
    ["a name twice, one with an escaped slash", '{"a/b":1,"a\\/b":2}'],
    ["an empty name twice", '{"":1,"":1}'],
    ["__proto__ twice", '{"__proto__":1,"__proto__":2}'],
    ["a name twice beside colons in strings", '{"a:":":","a:":"\\":"}'],
    ["17 levels of arrays", nested(17)],
    ["17 levels of objects", `${'{"a":'.repeat(17)}1${"}".repeat(17)}`],
    ["a hundred thousand levels", nested(100_000)],
    ["half a surrogate pair in a value", '{"a":"\\ud800"}'],
    ["half a surrogate pair in a name", '{"\\udc00":1}'],
    ["a surrogate pair in the wrong order", '["\\udc00\\ud800"]'],
    ["nothing", ""],
    ["a byte order mark", "\ufeff{}"],
    ["two values", "{}{}"],
    ["a comma at the end", '{"a":1,}'],
    ["a comment", "{}/**/"],
    ["single quotes", "{'a':1}"],
    ["NaN", '{"a":NaN}'],
    ["a NUL in a string", '{"a":"\u0000"}'],
    ["a NUL behind it", "{}\u0000"],
    ["a newline in a string", '{"a":"\n"}'],
    ["white space of another kind", "\u00a0{}"],
  ])("refuse %s", (_, text) => {
    expect(() => parseStrictJson(text)).toThrow(malformed);
  });

  test("no message quotes what it is about", () => {
    for (const text of ['{"secret":1,"secret":2}', '{"secret"', '["secret\\ud800"]']) {
      expect(() => parseStrictJson(text)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("secret") }),
      );
    }
  });

  test("whatever JSON.stringify writes is read, and with any one member doubled it is not", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 5 })),
        fc.nat(),
        (object, n) => {
          const text = JSON.stringify(object);
          expect(parseStrictJson(text)).toEqual(JSON.parse(text));
          const members = Object.entries(object).map(
            ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
          );
          const again = members[n % members.length];
          if (again === undefined) return;
          expect(() => parseStrictJson(`{${[...members, again].join(",")}}`)).toThrow(malformed);
        },
      ),
    );
  });
});
