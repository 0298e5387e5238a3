import { fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { SignetError } from "@signet/shared/errors";

const tag = (field: number, wireType: WireType) => (field << 3) | wireType;

// Of google.protobuf.Struct, of the entries of its map, and of google.protobuf.Value.
const structFields = tag(1, WireType.LengthDelimited);
const entryKey = tag(1, WireType.LengthDelimited);
const entryValue = tag(2, WireType.LengthDelimited);
const valueString = tag(3, WireType.LengthDelimited);
const valueBool = tag(4, WireType.Varint);

// An Envoy has some tens. To step over one costs as much as many of its bytes.
const maxEntries = 1_000;

/** A value of a node's metadata, or `undefined` for one that is neither text nor truth. */
export type MetadataValue = string | boolean | undefined;

/**
 * Reads single keys of an Envoy's node metadata and steps over all the rest unread: what a client writes there, long or
 * nested without end, costs next to nothing.
 * @throws SignetError `malformed-request`
 */
export function readMetadata(bytes: Uint8Array, keys: readonly string[]): ReadonlyMap<string, MetadataValue> {
  const found = new Map<string, MetadataValue>();
  let left = maxEntries;
  try {
    eachField(bytes, (field, reader) => {
      if (field !== structFields) return false;
      if (left-- === 0) throw new RangeError(`more than ${maxEntries} keys`);
      const [key, value] = readEntry(reader.bytes());
      if (keys.includes(key)) found.set(key, readValue(value));
      return true;
    });
  } catch (cause) {
    throw new SignetError(
      "malformed-request",
      `the node's metadata is no google.protobuf.Struct of at most ${maxEntries} keys`,
      { cause },
    );
  }
  return found;
}

/** The same for a client that sends some. */
export function writeMetadata(fields: JsonObject): Uint8Array {
  return toBinary(StructSchema, fromJson(StructSchema, fields));
}

function readEntry(bytes: Uint8Array): [string, Uint8Array] {
  let key = "";
  let value: Uint8Array = Uint8Array.of();
  eachField(bytes, (field, reader) => {
    if (field === entryKey) key = reader.string();
    else if (field === entryValue) value = reader.bytes();
    else return false;
    return true;
  });
  return [key, value];
}

function readValue(bytes: Uint8Array): MetadataValue {
  let value: MetadataValue;
  eachField(bytes, (field, reader) => {
    // The last of a oneof is the one that counts.
    value = undefined;
    if (field === valueString) value = reader.string();
    else if (field === valueBool) value = reader.bool();
    else return false;
    return true;
  });
  return value;
}

/** @param take reads what the reader stands at, by its tag, or leaves it to be skipped */
function eachField(bytes: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!take(tag(field, wireType), reader)) reader.skip(wireType, field);
  }
}
