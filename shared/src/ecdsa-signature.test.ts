import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from "./der.ts";

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-der" });
const one = `${"00".repeat(31)}01`;
const high = `80${"00".repeat(31)}`;

describe("ECDSA signatures as r || s and as DER", () => {
  test.each([
    { rule: "leading zeros are dropped", raw: one + one, der: "30 06 02 01 01 02 01 01" },
    { rule: "a top bit takes a zero", raw: high + one, der: `30 26 02 21 00${high} 02 01 01` },
    { rule: "zero keeps one byte", raw: "00".repeat(64), der: "30 06 02 01 00 02 01 00" },
  ])("$rule", ({ raw, der }) => {
    expect(ecdsaSignatureFromRaw(bytesOf(raw))).toEqual(bytesOf(der));
    expect(ecdsaSignatureToRaw(bytesOf(der), 32)).toEqual(bytesOf(raw));
  });

  test.each([
    { rule: "a number longer than the curve's", der: `30 26 02 21 01${one} 02 01 01` },
    { rule: "a negative number", der: "30 06 02 01 ff 02 01 01" },
    { rule: "a number that is not minimal", der: "30 07 02 02 00 01 02 01 01" },
    { rule: "one number", der: "30 03 02 01 01" },
    { rule: "three numbers", der: "30 09 02 01 01 02 01 01 02 01 01" },
    { rule: "bytes after it", der: "30 06 02 01 01 02 01 01 00" },
    { rule: "the raw form", der: one + one },
    { rule: "nothing", der: "" },
  ])("refuse $rule", ({ der }) => {
    expect(() => ecdsaSignatureToRaw(bytesOf(der), 32)).toThrow(malformed);
  });

  test.each([
    { namedCurve: "P-256", size: 32 },
    { namedCurve: "P-384", size: 48 },
  ])("what OpenSSL signs with $namedCurve comes back byte for byte", ({ namedCurve, size }) => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve });
    for (let run = 0; run < 100; run++) {
      const der = Uint8Array.from(sign("sha256", Buffer.from(`message ${run}`), privateKey));
      expect(ecdsaSignatureFromRaw(ecdsaSignatureToRaw(der, size))).toEqual(der);
    }
  });

  test("property: any r || s comes back", () => {
    const half = fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      // Short numbers, which random bytes hardly ever are.
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Uint8Array.of(...new Uint8Array(32 - bytes.length), ...bytes)),
    );
    fc.assert(
      fc.property(half, half, (r, s) => {
        const raw = Uint8Array.of(...r, ...s);
        expect(ecdsaSignatureToRaw(ecdsaSignatureFromRaw(raw), 32)).toEqual(raw);
      }),
      { numRuns: 500 },
    );
  });
});
