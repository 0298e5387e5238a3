import { BinaryReader } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { bytesField, joined, lengthDelimited, messageField, readFields, textField } from "./wire.ts";

test.each([0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152])("a field of %i bytes can be read", (length) => {
  const content = new Uint8Array(length).fill(7);
  const bytes = joined([...messageField(16, [content]), ...textField(1, "after")]);
  const reader = new BinaryReader(bytes);
  expect(reader.tag()).toEqual([16, 2]);
  expect(Buffer.from(reader.bytes()).equals(content)).toBe(true);
  expect(reader.tag()).toEqual([1, 2]);
  expect(reader.string()).toBe("after");
  expect(reader.pos).toBe(reader.len);
});

test("nothing is left out, but a message that is empty is there", () => {
  expect([...textField(1, ""), ...bytesField(1, Uint8Array.of())]).toEqual([]);
  expect(joined(messageField(1, []))).toEqual(Uint8Array.of(0x0a, 0));
});

test("what is not taken is stepped over, and what cannot be is an error", () => {
  const seen: number[] = [];
  const bytes = joined([...textField(9, "unknown"), ...textField(1, "known")]);
  readFields(bytes, (field, reader) => {
    seen.push(field);
    return field === lengthDelimited(1) && reader.string() === "known";
  });
  expect(seen).toEqual([lengthDelimited(9), lengthDelimited(1)]);
  for (const broken of [[0x0a], [0x0a, 5, 1], [0x0c], [0x0b], [0x00, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]) {
    expect(() => readFields(Uint8Array.from(broken), () => false)).toThrow();
  }
});
