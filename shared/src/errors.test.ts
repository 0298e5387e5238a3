import { describe, expect, test } from "vitest";
import { asSignetError, caErrorCodes, localErrorCodes, SignetError } from "./errors.ts";

describe("errors", () => {
  test("a code stands for one thing: none is in both lists or in one twice", () => {
    const codes = [...caErrorCodes, ...localErrorCodes];
    expect(new Set(codes).size).toBe(codes.length);
  });

  test("an error of ours is given back as it is", () => {
    const error = new SignetError("cannot-sign", "why", { retryAfterSeconds: 5 });
    expect(asSignetError(error, "internal", "more")).toBe(error);
  });

  test.each([
    { name: "an Error", thrown: new RangeError("deep"), message: "deep" },
    { name: "a string", thrown: "deep", message: "deep" },
    { name: "nothing", thrown: undefined, message: "undefined" },
  ])("$name is wrapped and kept as the cause", ({ thrown, message }) => {
    const error = asSignetError(thrown, "internal");
    expect(error).toMatchObject({ name: "SignetError", code: "internal", message, cause: thrown });
    expect(asSignetError(thrown, "internal", "reading").message).toBe(`reading: ${message}`);
  });

  test("no cause is no member", () => {
    expect("cause" in new SignetError("internal", "m")).toBe(false);
  });
});
