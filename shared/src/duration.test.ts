import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";
import { SignetError } from "./errors.ts";

describe("duration", () => {
  test.each([
    ["30s", 30],
    ["15m", 900],
    ["1h", 3_600],
    ["1h30m", 5_400],
    ["7d", 604_800],
    ["1d2h3m4s", 93_784],
    ["0s", 0],
    ["90m", 5_400],
    ["007s", 7],
    ["999999999s", 999_999_999],
  ])("%s is %d seconds", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each([
    { rule: "nothing", text: "" },
    { rule: "a number without a unit", text: "60" },
    { rule: "a unit without a number", text: "h" },
    { rule: "units from small to large", text: "30m1h" },
    { rule: "a unit twice", text: "1h1h" },
    { rule: "a fraction", text: "1.5h" },
    { rule: "a sign", text: "-1h" },
    { rule: "white space", text: "1h 30m" },
    { rule: "a newline at the end", text: "1h\n" },
    { rule: "an unknown unit", text: "1w" },
    { rule: "an upper-case unit", text: "1H" },
    { rule: "a number that no certificate lives", text: "1000000d" },
    { rule: "digits that are not ASCII", text: "\u0661h" },
  ])("refuse $rule", ({ text }) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });

  test.each([
    [0, "0s"],
    [0.9, "0s"],
    [-5, "0s"],
    [59, "59s"],
    [60, "1m"],
    [5_400, "1h30m"],
    [86_400, "1d"],
    [90_061.9, "1d1h1m1s"],
  ])("%d seconds are written %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test("property: what is written is read back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 * 86_400 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds);
      }),
      { numRuns: 500 },
    );
  });

  test("property: any text is a number of seconds or config-invalid", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^(\d{1,10}[dhms]){0,5}$/));
    fc.assert(
      fc.property(text, (candidate) => {
        try {
          expect(Number.isSafeInteger(parseDuration(candidate))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(SignetError);
          expect(error).toMatchObject({ code: "config-invalid" });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
