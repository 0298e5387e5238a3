import { describe, expect, test } from "vitest";
import { readDocument } from "./document.ts";

describe("a document", () => {
  test("may have comments and trailing commas", () => {
    const text = '// one\n{ "a": [1, 2,], /* two */ "b": { "c": null, }, }\n';
    expect(readDocument(text)).toEqual({ value: { a: [1, 2], b: { c: null } }, faults: [] });
  });

  test.each([
    { rule: "nothing", text: "", faults: ["it is empty"] },
    {
      rule: "a comma too few",
      text: '{\n  "a": 1\n  "b": 2\n}',
      faults: ['line 3, column 3: a "," is missing before this'],
    },
    { rule: "no end", text: '{ "a": {', faults: ['line 1, column 9: a "}" is missing here'] },
    {
      rule: "a key without quotes",
      text: "{ a: 1 }",
      faults: ["line 1, column 3: this is no JSON; texts stand in double quotes"],
    },
    {
      rule: "single quotes",
      text: "{ 'a': 1 }",
      faults: ["line 1, column 3: this is no JSON; texts stand in double quotes"],
    },
    { rule: "two documents", text: "{}\n{}", faults: ["line 2, column 1: the document has ended before this"] },
    { rule: "a text over two lines", text: '{ "a": "b\n" }', first: /^line 1, column 8: a text does not end/ },
    {
      rule: "faults on two lines",
      text: '{\n  "a" 1,\n  "b" 2\n}',
      faults: ['line 2, column 7: a ":" is missing before this', 'line 3, column 7: a ":" is missing before this'],
    },
    {
      rule: "a key that stands twice",
      text: '{\n  "nodeBinding": {},\n  "nodeBinding": "off"\n}',
      faults: ['line 3, column 3: the key "nodeBinding" stands twice'],
    },
    {
      rule: "a key that stands twice deep inside",
      text: '[{ "a": { "b": 1, "\\u0062": 2 } }]',
      faults: ['line 1, column 19: the key "b" stands twice'],
    },
    {
      rule: "__proto__",
      text: '{ "__proto__": { "nodeBinding": "off" } }',
      faults: ['line 1, column 3: the key "__proto__" stands twice'],
    },
  ])("is refused for $rule", ({ text, faults, first }) => {
    const read = readDocument(text);
    if (faults !== undefined) expect(read.faults).toEqual(faults);
    if (first !== undefined) expect(read.faults[0]).toMatch(first);
  });
});
