import type { JsonObject } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readMetadata, writeMetadata } from "./node-metadata.ts";
import { metadataOf } from "./test-secrets.ts";

const keys = ["wanted", "other"];
const anyMetadata = fc.dictionary(
  fc.oneof(fc.constantFrom(...keys, "__proto__"), fc.string()),
  fc.oneof(fc.string(), fc.boolean(), fc.double({ noDefaultInfinity: true, noNaN: true }), fc.jsonValue()),
) as fc.Arbitrary<JsonObject>;

test("single keys are read as they were written, whatever stands around them", () => {
  fc.assert(
    fc.property(anyMetadata, (metadata) => {
      const expected = keys
        .filter((key) => Object.hasOwn(metadata, key))
        .map((key) => [key, ["string", "boolean"].includes(typeof metadata[key]) ? metadata[key] : undefined] as const);
      expect(readMetadata(metadataOf(metadata), keys)).toEqual(new Map(expected));
    }),
    { numRuns: 500 },
  );
});

test("what is written is what the generated code writes", () => {
  const metadata = { wanted: "text", other: "", "": "x" };
  expect(Buffer.from(writeMetadata(metadata))).toEqual(Buffer.from(metadataOf(metadata)));
});

test("any bytes are read or refused with a code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        readMetadata(bytes, keys);
      } catch (error) {
        if (!(error instanceof SignetError)) throw error;
        expect(error.code).toBe("malformed-request");
      }
    }),
    { numRuns: 5_000 },
  );
});

const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const field = (number: number, bytes: Uint8Array) =>
  Buffer.concat([Uint8Array.of((number << 3) | 2, ...varint(bytes.length)), bytes]);

test("values that are nested without end are stepped over, under any key", () => {
  // google.protobuf.Value{ list_value { values { list_value ... } } }.
  let value: Uint8Array = Uint8Array.of();
  for (; value.length < 60_000; ) value = field(6, field(1, value));
  for (const key of ["wanted", "unwanted"]) {
    const entry = Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);
    expect(readMetadata(field(1, entry), ["wanted"]).get("wanted")).toBeUndefined();
  }
  expect(readMetadata(metadataOf({ wanted: "text" }), ["wanted"]).get("wanted")).toBe("text");
});

test("more keys than an Envoy can have are refused", () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`key-${n}`, ""]));
  expect(readMetadata(metadataOf(many(1_000)), ["key-999"]).get("key-999")).toBe("");
  expect(() => readMetadata(metadataOf(many(1_001)), [])).toThrow(SignetError);
});
