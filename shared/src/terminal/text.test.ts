import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clean, cleanLines, fit, jsonLine, widthOf, wrap } from "./text.ts";

describe("clean", () => {
  test.each([
    ["an escape sequence that clears the screen", "a\u001b[2Jb", "a\ufffd[2Jb"],
    ["the one-byte form of it", "a\u009b2Jb", "a\ufffd2Jb"],
    ["a title of the window", "\u001b]0;owned\u0007", "\ufffd]0;owned\ufffd"],
    ["a forged line", "error\nall is well\r", "error all is well "],
    ["text that is written backwards", "\u202etfel ot thgir\u202c", "\ufffdtfel ot thgir\ufffd"],
    ["half a letter", "a\ud800b", "a\ufffdb"],
    ["what has no width", "pay\u200bpal", "pay\ufffdpal"],
    ["plain names and letters of any language", "foo/sleep-1 Zürich 漢字 😀", "foo/sleep-1 Zürich 漢字 😀"],
  ])("%s", (_name, foreign, shown) => {
    expect(clean(foreign)).toBe(shown);
  });

  test("nothing that a terminal obeys is left of any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const cleaned = clean(text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(cleaned).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
        expect(clean(cleaned)).toBe(cleaned);
      }),
    );
  });
});

test("several lines stay several", () => {
  expect(cleanLines("one\n  - two\u001b[2J\n")).toBe("one\n  - two\ufffd[2J\n");
});

test("JSON has nothing that a terminal obeys, and says the same", () => {
  fc.assert(
    fc.property(fc.record({ text: fc.string({ unit: "binary" }) }), (value) => {
      const line = jsonLine(value);
      expect(clean(line.slice(0, -1))).toBe(line.slice(0, -1));
      expect(JSON.parse(line)).toEqual(value);
    }),
  );
  expect(jsonLine({ text: "\u009b2J\u202e" })).toBe('{"text":"\\u009b2J\\u202e"}\n');
});

test("fit leaves what fits, and marks what it cuts", () => {
  expect(fit("sleep", 5)).toBe("sleep");
  expect(fit("sleeper", 5)).toBe("slee…");
  expect(fit("😀😀😀", 2)).toBe("😀…");
  expect(fit("sleep", 1)).toBe("…");
  expect(fit("sleep", 0)).toBe("");
});

test("wrap breaks between words, keeps each, and leaves a word that is too long whole", () => {
  expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrap("/a/very/long/path is", 5)).toEqual(["/a/very/long/path", "is"]);
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 }),
      fc.integer({ min: 9, max: 40 }),
      (words, width) => {
        const lines = wrap(words.join(" "), width);
        expect(lines.join(" ")).toBe(words.join(" "));
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
      },
    ),
  );
});
