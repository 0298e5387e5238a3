import { describe, expect, test } from "vitest";
import { ago, inWords, milliseconds, roughly, several, span } from "./script/words.ts";

describe("spans of time", () => {
  test.each([
    { seconds: -5, long: "0 s", short: "0 s" },
    { seconds: 0.9, long: "0 s", short: "0 s" },
    { seconds: 59.9, long: "59 s", short: "59 s" },
    { seconds: 60, long: "1 min", short: "1 min" },
    { seconds: 2_472, long: "41 min 12 s", short: "41 min" },
    { seconds: 3_601, long: "1 h", short: "1 h" },
    { seconds: 86_399, long: "23 h 59 min", short: "23 h" },
    { seconds: 90_000, long: "1 d 1 h", short: "1 d" },
    { seconds: 400 * 86_400, long: "1 y 35 d", short: "1 y" },
  ])("$seconds s is $long", ({ long, seconds, short }) => {
    expect(span(seconds)).toBe(long);
    expect(roughly(seconds)).toBe(short);
  });

  test("of a moment ago need no number", () => {
    expect([ago(-1), ago(1.9), ago(2), ago(125)]).toEqual(["just now", "just now", "2 s ago", "2 min ago"]);
  });

  test("that are short are told in milliseconds", () => {
    expect([0.000_44, 0.001, 0.0254, 0.999, 1.25].map(milliseconds)).toEqual([
      "0.4 ms",
      "1 ms",
      "25 ms",
      "999 ms",
      "1.3 s",
    ]);
  });
});

test("numbers agree with their nouns", () => {
  expect([several(0, "root"), several(1, "root"), several(1_200, "root"), several(2, "needs", "need")]).toEqual([
    "0 roots",
    "1 root",
    "1,200 roots",
    "2 need",
  ]);
});

test("a code that has no words of its own is told as it is", () => {
  expect(inWords("ca-unreachable")).toBe("The CA cannot be reached");
  expect(inWords("some-new-code")).toBe("some new code");
});
