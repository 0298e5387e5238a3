import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallHeaders, encodeMessage, isGrpc, readTimeout } from "./headers.ts";

describe("headers", () => {
  const headers = new CallHeaders(["a", "1", "x-bin", "aGV5,aGk=", "a", "2", "x-bin", "aG8="]);

  test("all values of a name, in order", () => {
    expect(headers.get("a")).toEqual(["1", "2"]);
    expect(headers.first("a")).toBe("1");
    expect(headers.get("b")).toEqual([]);
    expect(headers.first("b")).toBeUndefined();
  });

  test("-bin is base64, padded or not, several in one", () => {
    expect(headers.get("x-bin").map(String)).toEqual(["hey", "hi", "ho"]);
  });

  test("a value that reads like a name is none", () => {
    expect(new CallHeaders(["a", "b", "c", "d"]).get("b")).toEqual([]);
    expect(new CallHeaders(["a", "b", "c", "d"]).first("b")).toBeUndefined();
  });
});

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc; charset=utf-8", true],
  ["application/grpc-web", false],
  ["application/json", false],
  [undefined, false],
])("content type %s: %s", (type, want) => {
  expect(isGrpc(type)).toBe(want);
});

test.each([
  ["2H", 7_200_000],
  ["3M", 180_000],
  ["4S", 4_000],
  ["99999999m", 99_999_999],
  ["5000u", 5],
  ["1000000n", 1],
  ["123456789m", "invalid"],
  ["1h", "invalid"],
  ["-1S", "invalid"],
  ["1 S", "invalid"],
  ["", "invalid"],
  [undefined, undefined],
])("grpc-timeout %s: %s", (text, want) => {
  expect(readTimeout(text)).toBe(want);
});

test("a message is printable ASCII on the wire, and comes back", () => {
  expect(encodeMessage("50 % of ö\n")).toBe("50 %25 of %C3%B6%0A");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const encoded = encodeMessage(text);
      expect(encoded).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeURIComponent(encoded)).toBe(text);
    }),
  );
});
