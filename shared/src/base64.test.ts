import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromBase64, fromBase64Url, toBase64, toBase64Url, toHex } from "./base64.ts";

// RFC 4648 §10.
const vectors = [
  ["", ""],
  ["f", "Zg=="],
  ["fo", "Zm8="],
  ["foo", "Zm9v"],
  ["foob", "Zm9vYg=="],
  ["fooba", "Zm9vYmE="],
  ["foobar", "Zm9vYmFy"],
] as const;

describe("base64", () => {
  test.each(vectors)("RFC 4648 §10: %j is %j", (plain, base64) => {
    const bytes = new TextEncoder().encode(plain);
    expect(toBase64(bytes)).toBe(base64);
    expect(fromBase64(base64)).toEqual(bytes);
    expect(toBase64Url(bytes)).toBe(base64.replaceAll("=", ""));
    expect(fromBase64Url(base64.replaceAll("=", ""))).toEqual(bytes);
  });

  test.each([
    { rule: "missing padding", text: "Zg" },
    { rule: "half of the padding", text: "Zg=" },
    { rule: "padding where none is due", text: "Zm9v=" },
    { rule: "a group of padding", text: "Zm9v====" },
    { rule: "three characters of padding", text: "Z===" },
    { rule: "padding in the middle", text: "Zg==Zm9v" },
    { rule: "a lone character", text: "Zm9vZ" },
    { rule: "white space", text: "Zm9 v" },
    { rule: "a newline at the end", text: "Zm9v\n" },
    { rule: "four characters of white space", text: "    " },
    { rule: "the alphabet of base64url", text: "-_-_" },
    { rule: "a letter beyond ASCII", text: "Zm9\u0101" },
    { rule: "stray bits in the last of one byte", text: "Zh==" },
    { rule: "stray bits in the last of two bytes", text: "Zm9=" },
  ])("refuse $rule", ({ text }) => {
    expect(fromBase64(text)).toBeUndefined();
  });

  test.each([
    { rule: "padding", text: "Zg==" },
    { rule: "the alphabet of base64", text: "+/+/" },
    { rule: "a lone character", text: "Z" },
    { rule: "stray bits in the last of one byte", text: "Zh" },
    { rule: "stray bits in the last of two bytes", text: "Zm9" },
    { rule: "white space", text: "Zm 9" },
  ])("base64url: refuse $rule", ({ text }) => {
    expect(fromBase64Url(text)).toBeUndefined();
  });

  test("what is more than one chunk of the writer", () => {
    const bytes = Uint8Array.from({ length: 20_001 }, (_, at) => at * 31);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  });

  test("hex has two digits for each byte", () => {
    expect(toHex(Uint8Array.of(0, 1, 0x0f, 0x10, 0xff))).toBe("00010f10ff");
    expect(toHex(new Uint8Array())).toBe("");
  });

  test("property: bytes come back, in the form that Node writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test("property: of all texts only the canonical one is read", () => {
    // The small alphabet makes canonical and nearly canonical texts likely.
    const text = fc.string({ unit: fc.constantFrom("A", "B", "Q", "g", "w", "/", "-", "=", " "), maxLength: 8 });
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (candidate) => {
        const bytes = fromBase64(candidate);
        if (bytes !== undefined) expect(toBase64(bytes)).toBe(candidate);
        const urlBytes = fromBase64Url(candidate);
        if (urlBytes !== undefined) expect(toBase64Url(urlBytes)).toBe(candidate);
      }),
      { numRuns: 3_000 },
    );
  });
});
