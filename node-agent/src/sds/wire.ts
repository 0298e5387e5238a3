import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/*
 * Protocol Buffers as the wire has them, for the few messages that are read and written all the time. The generated
 * code in `gen/` says the same in general; loading it would take longer than all the rest of the agent's start.
 */

/** A field of text, bytes or a message, as {@link readFields} names it. */
export const lengthDelimited = (field: number): number => (field << 3) | WireType.LengthDelimited;

/** A field of a number or a truth, as {@link readFields} names it. */
export const varint = (field: number): number => (field << 3) | WireType.Varint;

/**
 * Goes through a message. What is not taken is stepped over, whatever is in it.
 * @param take reads what the reader stands at, or leaves it
 * @throws Error when the bytes are no message
 */
export function readFields(bytes: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!take((field << 3) | wireType, reader)) reader.skip(wireType, field);
  }
}

const utf8 = new TextEncoder();

/** Encoded bytes in pieces, which are copied once, into the message that is sent. */
export type Pieces = readonly Uint8Array[];

/** A message inside another. */
export function messageField(field: number, content: Pieces): Pieces {
  let length = 0;
  for (const piece of content) length += piece.length;
  return [header(field, length), ...content];
}

/** Bytes, which are left out where there are none. */
export function bytesField(field: number, bytes: Uint8Array): Pieces {
  return bytes.length === 0 ? [] : [header(field, bytes.length), bytes];
}

/** Text, which is left out where there is none. */
export function textField(field: number, text: string): Pieces {
  return bytesField(field, encodeText(text));
}

export function encodeText(text: string): Uint8Array {
  return utf8.encode(text);
}

export function joined(pieces: Pieces): Uint8Array {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function header(field: number, length: number): Uint8Array {
  const bytes: number[] = [];
  for (const number of [lengthDelimited(field), length]) {
    let left = number;
    for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128);
    bytes.push(left);
  }
  return Uint8Array.from(bytes);
}
