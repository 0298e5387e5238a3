import { describe, expect, test } from "vitest";
import {
  bitString,
  boolean,
  contextTag,
  DerReader,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from "./der.ts";

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const reader = (hex: string) => new DerReader(bytesOf(hex));
const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-der" });
/** A primitive value of ASCII text. */
const ascii = (tag: number, text: string) => tlv(tag, new TextEncoder().encode(text));

describe("tag and length", () => {
  test.each([
    { rule: "nothing at all", hex: "" },
    { rule: "a tag alone", hex: "30" },
    { rule: "contents that end early", hex: "30 02 05" },
    { rule: "a long length that ends early", hex: "30 82 01" },
    { rule: "contents of a long length that end early", hex: `30 81 80 ${"00".repeat(127)}` },
    { rule: "an indefinite length", hex: "30 80 05 00 00 00" },
    { rule: "an indefinite length of a primitive", hex: "04 80 00 00" },
    { rule: "the reserved first length byte FF", hex: "30 ff 00" },
    { rule: "a long form under 128", hex: `30 81 7f ${"00".repeat(127)}` },
    { rule: "a long form of zero", hex: "30 81 00" },
    { rule: "a leading zero in a long form of two bytes", hex: `30 82 00 80 ${"00".repeat(128)}` },
    { rule: "a leading zero in a long form of three bytes", hex: `30 83 00 01 00 ${"00".repeat(256)}` },
    { rule: "a length of four bytes", hex: "30 84 00 00 00 01 00" },
    { rule: "a length of four bytes that would be negative", hex: "30 84 ff ff ff ff 00" },
    { rule: "a length of eight bytes", hex: "30 88 00 00 00 00 00 00 00 01 00" },
    { rule: "a tag of two bytes", hex: "1f 1f 00" },
    { rule: "a tag of two bytes whose second would do for a length", hex: `5f 20 1f ${"00".repeat(31)}` },
    { rule: "a tag of two bytes, context-specific and constructed", hex: "bf 81 00 00" },
  ])("refuse $rule", ({ hex }) => {
    expect(() => reader(hex).any()).toThrow(malformed);
  });

  test.each([0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x2_0000])("a length of %d comes back", (length) => {
    const contents = new Uint8Array(length).fill(7);
    const value = new DerReader(octetString(contents));
    expect(value.octetString()).toEqual(contents);
    value.end();
  });

  test.each([
    { length: 0x7f, header: "047f" },
    { length: 0x80, header: "048180" },
    { length: 0xff, header: "0481ff" },
    { length: 0x100, header: "04820100" },
    { length: 0x1_0000, header: "0483010000" },
  ])("a length of $length is written in the shortest form", ({ length, header }) => {
    expect(hexOf(octetString(new Uint8Array(length)).subarray(0, header.length / 2))).toBe(header);
  });

  test("a value is its tag, its contents and all of its bytes", () => {
    const { tag, contents, bytes } = reader("0c 02 68 69 05 00").any();
    expect({ tag, contents: hexOf(contents), bytes: hexOf(bytes) }).toEqual({
      tag: Tag.utf8String,
      contents: "6869",
      bytes: "0c026869",
    });
  });

  test("an unexpected tag is refused and not stepped over", () => {
    const value = reader("05 00");
    expect(() => value.expect(Tag.sequence)).toThrow(malformed);
    expect(() => value.enter()).toThrow(malformed);
    expect(value.optional(Tag.sequence)).toBeUndefined();
    expect(value.optional(Tag.null)).toMatchObject({ tag: Tag.null });
    expect(value.done).toBe(true);
    expect(value.peek()).toBeUndefined();
    expect(value.optional(Tag.null)).toBeUndefined();
    expect(() => value.expect(Tag.null)).toThrow(malformed);
  });

  test("bytes that follow are refused by end()", () => {
    const value = reader("05 00 00");
    value.any();
    expect(() => value.end()).toThrow(malformed);
  });

  test("a value inside never reaches over the end of the one around it", () => {
    // The inner length says four where the outer one leaves two; the bytes would be there.
    const inner = reader("30 04 04 04 01 02 03 04").enter();
    expect(() => inner.any()).toThrow(malformed);
  });

  test("context tags", () => {
    expect(contextTag(0, true)).toBe(0xa0);
    expect(contextTag(6, false)).toBe(0x86);
    expect(hexOf(explicit(3, boolean(true)))).toBe("a3030101ff");
  });
});

describe("boolean", () => {
  test.each([true, false])("%s comes back", (value) => {
    expect(new DerReader(boolean(value)).boolean()).toBe(value);
  });
  test.each([
    { rule: "TRUE that is not FF", hex: "01 01 01" },
    { rule: "no byte", hex: "01 00" },
    { rule: "two bytes", hex: "01 02 ff ff" },
    { rule: "another tag", hex: "02 01 ff" },
  ])("refuse $rule", ({ hex }) => {
    expect(() => reader(hex).boolean()).toThrow(malformed);
  });
});

describe("integer", () => {
  test.each([
    { rule: "zero", hex: "02 01 00", contents: "00" },
    { rule: "127", hex: "02 01 7f", contents: "7f" },
    { rule: "128 with its zero", hex: "02 02 00 80", contents: "0080" },
    { rule: "-1", hex: "02 01 ff", contents: "ff" },
    { rule: "-128", hex: "02 01 80", contents: "80" },
    { rule: "-129", hex: "02 02 ff 7f", contents: "ff7f" },
  ])("read $rule", ({ hex, contents }) => {
    expect(hexOf(reader(hex).integer())).toBe(contents);
  });
  test.each([
    { rule: "no byte", hex: "02 00" },
    { rule: "a zero too many", hex: "02 02 00 7f" },
    { rule: "zero in two bytes", hex: "02 02 00 00" },
    { rule: "an FF too many", hex: "02 02 ff 80" },
    { rule: "-1 in two bytes", hex: "02 02 ff ff" },
  ])("refuse $rule", ({ hex }) => {
    expect(() => reader(hex).integer()).toThrow(malformed);
  });

  test.each([0, 2, 127])("small integer: %d", (value) => {
    expect(new DerReader(unsignedInteger(Uint8Array.of(value))).smallInteger()).toBe(value);
  });
  test.each([
    { rule: "128", hex: "02 02 00 80" },
    { rule: "256", hex: "02 02 01 00" },
    { rule: "-1", hex: "02 01 ff" },
    { rule: "-128", hex: "02 01 80" },
    { rule: "what is not minimal", hex: "02 02 00 01" },
  ])("small integer: refuse $rule", ({ hex }) => {
    expect(() => reader(hex).smallInteger()).toThrow(malformed);
  });

  test.each([
    { number: "", written: "020100" },
    { number: "00", written: "020100" },
    { number: "0000", written: "020100" },
    { number: "7f", written: "02017f" },
    { number: "80", written: "02020080" },
    { number: "000080", written: "02020080" },
    { number: "0001", written: "020101" },
    { number: "ff00", written: "020300ff00" },
  ])("unsigned: the number $number is written $written", ({ number, written }) => {
    expect(hexOf(unsignedInteger(bytesOf(number)))).toBe(written);
  });
});

describe("object identifier", () => {
  // Contents as `openssl asn1parse -genstr OID:...` writes them.
  const vectors = [
    { dotted: "1.2.840.113549.1.1.11", hex: "06092a864886f70d01010b" },
    { dotted: "2.5.29.17", hex: "0603551d11" },
    { dotted: "1.3.101.112", hex: "06032b6570" },
    { dotted: "2.16.840.1.101.3.4.2.1", hex: "0609608648016503040201" },
    // X.690 §8.19.5, the example.
    { dotted: "2.999.3", hex: "0603883703" },
    { dotted: "0.0", hex: "060100" },
    { dotted: "0.39", hex: "060127" },
    { dotted: "1.39", hex: "06014f" },
    { dotted: "2.0", hex: "060150" },
    { dotted: "2.47", hex: "06017f" },
    { dotted: "2.48", hex: "06028100" },
    { dotted: "1.2.4294967295", hex: "06062a8fffffff7f" },
  ];
  test.each(vectors)("$dotted", ({ dotted, hex }) => {
    expect(hexOf(oid(dotted))).toBe(hex);
    expect(reader(hex).oid()).toBe(dotted);
  });
  test.each([
    { rule: "no byte", hex: "06 00" },
    { rule: "an arc with a leading 80", hex: "06 03 2a 80 01" },
    { rule: "a first arc with a leading 80", hex: "06 02 80 01" },
    { rule: "an arc that does not end", hex: "06 02 2a 86" },
    { rule: "an arc over 32 bits", hex: "06 06 2a 90 80 80 80 00" },
    { rule: "an arc of very many bytes", hex: `06 40 2a ${"ff".repeat(62)} 7f` },
  ])("refuse $rule", ({ hex }) => {
    expect(() => reader(hex).oid()).toThrow(malformed);
  });
});

describe("bit string", () => {
  test("whole bytes come back", () => {
    expect(new DerReader(bitString(bytesOf("0102"))).bitString()).toEqual(bytesOf("0102"));
    expect(new DerReader(bitString(new Uint8Array())).bitString()).toHaveLength(0);
  });
  test.each([
    { rule: "no count of unused bits", hex: "03 00" },
    { rule: "unused bits", hex: "03 02 01 fe" },
    { rule: "a constructed one", hex: "23 04 03 02 00 01" },
  ])("refuse $rule", ({ hex }) => {
    expect(() => reader(hex).bitString()).toThrow(malformed);
  });

  test.each([
    { bits: [0], hex: "03020780" },
    { bits: [0, 2], hex: "030205a0" },
    { bits: [5, 6], hex: "03020106" },
    { bits: [7], hex: "03020001" },
    { bits: [0, 8], hex: "0303078080" },
  ])("named bits $bits are written $hex", ({ bits, hex }) => {
    expect(hexOf(namedBits(...bits))).toBe(hex);
    const read = reader(hex).namedBits();
    expect(read.flatMap((set, bit) => (set ? [bit] : []))).toEqual(bits);
  });
  test("no named bit is one byte", () => {
    expect(reader("03 01 00").namedBits()).toEqual([]);
  });
  test.each([
    { rule: "no byte", hex: "03 00" },
    { rule: "eight unused bits", hex: "03 02 08 80" },
    { rule: "unused bits of nothing", hex: "03 01 07" },
    { rule: "unused bits that are set", hex: "03 02 07 c0" },
    { rule: "a zero bit at the end", hex: "03 02 06 80" },
    { rule: "a zero byte at the end", hex: "03 03 00 80 00" },
    { rule: "nothing but zeros", hex: "03 02 00 00" },
  ])("named bits: refuse $rule", ({ hex }) => {
    expect(() => reader(hex).namedBits()).toThrow(malformed);
  });
});

describe("time", () => {
  const seconds = (iso: string) => Date.parse(iso) / 1000;
  test.each([
    { text: "500101000000Z", iso: "1950-01-01T00:00:00Z" },
    { text: "700101000000Z", iso: "1970-01-01T00:00:00Z" },
    { text: "000229120000Z", iso: "2000-02-29T12:00:00Z" },
    { text: "491231235959Z", iso: "2049-12-31T23:59:59Z" },
    { text: "261124001241Z", iso: "2026-11-24T00:12:41Z" },
  ])("UTCTime $text is $iso", ({ text, iso }) => {
    const der = ascii(Tag.utcTime, text);
    expect(new DerReader(der).time()).toBe(seconds(iso));
    expect(time(seconds(iso))).toEqual(der);
  });
  test.each([
    { text: "20500101000000Z", iso: "2050-01-01T00:00:00Z" },
    { text: "20500630115959Z", iso: "2050-06-30T11:59:59Z" },
    // RFC 5280 §4.1.2.5: no well-defined end.
    { text: "99991231235959Z", iso: "9999-12-31T23:59:59Z" },
  ])("GeneralizedTime $text is $iso", ({ text, iso }) => {
    const der = ascii(Tag.generalizedTime, text);
    expect(new DerReader(der).time()).toBe(seconds(iso));
    expect(time(seconds(iso))).toEqual(der);
  });

  test("fractions of a second are cut off", () => {
    expect(time(seconds("2026-11-24T00:12:41Z") + 0.9)).toEqual(ascii(Tag.utcTime, "261124001241Z"));
  });

  test.each([
    { rule: "30 February", text: "260230000000Z" },
    { rule: "29 February of no leap year", text: "250229000000Z" },
    { rule: "31 April", text: "260431000000Z" },
    { rule: "month 0", text: "260001000000Z" },
    { rule: "month 13", text: "261301000000Z" },
    { rule: "day 0", text: "260100000000Z" },
    { rule: "hour 24", text: "260101240000Z" },
    { rule: "minute 60", text: "260101006000Z" },
    { rule: "second 60", text: "260101000060Z" },
    { rule: "no seconds", text: "2601010000Z" },
    { rule: "an offset", text: "260101000000+0100" },
    { rule: "no zone", text: "260101000000" },
    { rule: "a lower-case z", text: "260101000000z" },
    { rule: "four digits of year", text: "20260101000000Z" },
    { rule: "a space for a digit", text: "26 101000000Z" },
    { rule: "a newline at the end", text: "260101000000Z\n" },
    { rule: "nothing", text: "" },
    { rule: "very many bytes", text: "0".repeat(300_000) },
  ])("UTCTime: refuse $rule", ({ text }) => {
    expect(() => new DerReader(ascii(Tag.utcTime, text)).time()).toThrow(malformed);
  });

  test.each([
    { rule: "a year before 2050", text: "20491231235959Z" },
    { rule: "year 0", text: "00000101000000Z" },
    { rule: "30 February", text: "20500230000000Z" },
    { rule: "29 February of 2100, no leap year", text: "21000229000000Z" },
    { rule: "a fraction of a second", text: "20500101000000.5Z" },
    { rule: "two digits of year", text: "500101000000Z" },
    { rule: "an offset", text: "20500101000000+0000" },
  ])("GeneralizedTime: refuse $rule", ({ text }) => {
    expect(() => new DerReader(ascii(Tag.generalizedTime, text)).time()).toThrow(malformed);
  });

  test("refuse another tag", () => {
    expect(() => new DerReader(ascii(Tag.utf8String, "260101000000Z")).time()).toThrow(malformed);
  });
});

test("parts stand in their order, in a sequence and in a set", () => {
  expect(hexOf(sequence(boolean(true), tlv(Tag.null)))).toBe("30050101ff0500");
  expect(hexOf(setOf(tlv(Tag.null)))).toBe("31020500");
  expect(hexOf(sequence())).toBe("3000");
});
