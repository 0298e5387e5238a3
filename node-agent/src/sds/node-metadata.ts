import { SignetError } from "@signet/shared/errors";
import { encodeText, joined, lengthDelimited, messageField, readFields, varint } from "./wire.ts";

// Of google.protobuf.Struct, of the entries of its map, and of google.protobuf.Value.
const structFields = lengthDelimited(1);
const entryKey = lengthDelimited(1);
const entryValue = lengthDelimited(2);
const valueString = lengthDelimited(3);
const valueBool = varint(4);

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
    readFields(bytes, (field, reader) => {
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

/** Writes metadata for a client that asks by it. */
export function writeMetadata(fields: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(fields).flatMap(([key, text]) => {
    const value = messageField(3, [encodeText(text)]);
    return messageField(1, [...messageField(1, [encodeText(key)]), ...messageField(2, value)]);
  });
  return joined(entries);
}

function readEntry(bytes: Uint8Array): [string, Uint8Array] {
  let key = "";
  let value: Uint8Array = Uint8Array.of();
  readFields(bytes, (field, reader) => {
    if (field === entryKey) key = reader.string();
    else if (field === entryValue) value = reader.bytes();
    else return false;
    return true;
  });
  return [key, value];
}

function readValue(bytes: Uint8Array): MetadataValue {
  let value: MetadataValue;
  readFields(bytes, (field, reader) => {
    // The last of a oneof is the one that counts.
    value = undefined;
    if (field === valueString) value = reader.string();
    else if (field === valueBool) value = reader.bool();
    else return false;
    return true;
  });
  return value;
}
