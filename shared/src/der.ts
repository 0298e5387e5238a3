import { SignetError } from "./errors.ts";

/**
 * Strict DER (X.690): what is not the one canonical encoding is refused. Reading walks an expected shape with a cursor
 * and never recurses, so that nesting in foreign bytes costs nothing; writing builds values inside out.
 */

export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag of a context-specific value: `[number]`, constructed for EXPLICIT, primitive for IMPLICIT strings. */
export function contextTag(number: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | number;
}

/** A value as it lies in its bytes; both views share the memory of what was read. */
export interface DerValue {
  readonly tag: number;
  readonly contents: Uint8Array;
  /** Tag, length and contents. */
  readonly bytes: Uint8Array;
}

/** A cursor over the values of one DER sequence. Every method throws SignetError `malformed-der`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the next value, or undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next value, whatever it is. */
  any(): DerValue {
    const bytes = this.#bytes;
    const start = this.#at;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) throw malformed("it ends early");
    if ((tag & 0x1f) === 0x1f) throw malformed("a tag number over 30");
    let at = start + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0) throw malformed("an indefinite length");
      if (count > 3) throw malformed("a length over 16 MiB");
      length = 0;
      for (let n = 0; n < count; n++) length = (length << 8) | (bytes[at + n] ?? 0);
      at += count;
      if (length < 0x80 || length >> (8 * (count - 1)) === 0) throw malformed("a length that is not minimal");
    }
    const end = at + length;
    if (end > bytes.length) throw malformed("it ends early");
    this.#at = end;
    return { tag, contents: bytes.subarray(at, end), bytes: bytes.subarray(start, end) };
  }

  /** The next value, which must have this tag. */
  expect(tag: number): DerValue {
    if (this.peek() !== tag) throw malformed(`tag ${hex(this.peek())} where ${hex(tag)} is expected`);
    return this.any();
  }

  /** The next value if it has this tag. */
  optional(tag: number): DerValue | undefined {
    return this.peek() === tag ? this.any() : undefined;
  }

  /** A cursor over what is inside the next value, which must have this tag. */
  enter(tag: number = Tag.sequence): DerReader {
    return new DerReader(this.expect(tag).contents);
  }

  /** No value may be left. */
  end(): void {
    if (!this.done) throw malformed("bytes follow where nothing is expected");
  }

  boolean(): boolean {
    const { contents } = this.expect(Tag.boolean);
    if (contents.length !== 1 || (contents[0] !== 0 && contents[0] !== 0xff))
      throw malformed("a boolean that is not 00 or FF");
    return contents[0] === 0xff;
  }

  /** The contents of an INTEGER: big-endian two's complement, minimal. */
  integer(): Uint8Array {
    const { contents } = this.expect(Tag.integer);
    const [first, second] = contents;
    if (first === undefined) throw malformed("an empty integer");
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw malformed("an integer that is not minimal");
    }
    return contents;
  }

  /** An INTEGER from 0 to 127. */
  smallInteger(): number {
    const contents = this.integer();
    const value = contents[0] as number;
    if (contents.length !== 1 || value > 0x7f) throw malformed("an integer outside of 0 to 127");
    return value;
  }

  /** The dotted form of an OBJECT IDENTIFIER. */
  oid(): string {
    return decodeOid(this.expect(Tag.oid).contents);
  }

  /** The bytes of a BIT STRING whose length is whole bytes, as keys and signatures are. */
  bitString(): Uint8Array {
    const { contents } = this.expect(Tag.bitString);
    if (contents[0] !== 0) throw malformed("a bit string that is not whole bytes");
    return contents.subarray(1);
  }

  /** A BIT STRING of named bits (X.690 §11.2.2: no zero bits at the end): true at index n when bit n is set. */
  namedBits(): boolean[] {
    const { contents } = this.expect(Tag.bitString);
    const unused = contents[0];
    if (unused === undefined || unused > 7 || (contents.length === 1 && unused !== 0)) throw malformed("a bit string");
    const bits: boolean[] = [];
    for (const byte of contents.subarray(1)) for (let n = 7; n >= 0; n--) bits.push(((byte >> n) & 1) === 1);
    const count = bits.length - unused;
    if (bits.slice(count).includes(true)) throw malformed("a bit string with unused bits set");
    if (count > 0 && bits[count - 1] !== true) throw malformed("named bits with zeros at the end");
    return bits.slice(0, count);
  }

  octetString(): Uint8Array {
    return this.expect(Tag.octetString).contents;
  }

  /** Seconds since the epoch of a UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows. */
  time(): number {
    const { tag, contents } = this.any();
    if (tag !== Tag.utcTime && tag !== Tag.generalizedTime) throw malformed("a time");
    // "YYYYMMDDHHMMSSZ" is the longest; more could be too many arguments.
    const text = String.fromCharCode(...contents.subarray(0, 16));
    const match = (
      tag === Tag.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
    ).exec(text);
    if (match === null) throw malformed("a time that is not in UTC with seconds");
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
    const fullYear = tag === Tag.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year;
    if (tag === Tag.generalizedTime && fullYear < 2050) throw malformed("a GeneralizedTime before 2050");
    const date = new Date(Date.UTC(fullYear, month - 1, day, hour, minute, second));
    // Date.UTC rolls over what does not exist, such as 30 February.
    if (
      date.getUTCMonth() !== month - 1 ||
      date.getUTCDate() !== day ||
      date.getUTCHours() !== hour ||
      date.getUTCMinutes() !== minute ||
      date.getUTCSeconds() !== second
    ) {
      throw malformed("a time that does not exist");
    }
    return date.getTime() / 1000;
  }
}

function decodeOid(contents: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  let started = false;
  for (const byte of contents) {
    if (!started && byte === 0x80) throw malformed("an object identifier that is not minimal");
    if (arc > 0x1ff_ffff) throw malformed("an object identifier with an arc over 32 bits");
    arc = arc * 128 + (byte & 0x7f);
    started = byte >= 0x80;
    if (!started) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [first] = arcs;
  if (started || first === undefined) throw malformed("an object identifier that ends early");
  const top = Math.min(2, Math.floor(first / 40));
  return [top, first - 40 * top, ...arcs.slice(1)].join(".");
}

/** A value of this tag around `parts`. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const lengthBytes = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3;
  const bytes = new Uint8Array(2 + lengthBytes + length);
  bytes[0] = tag;
  bytes[1] = lengthBytes === 0 ? length : 0x80 | lengthBytes;
  for (let n = 0; n < lengthBytes; n++) bytes[2 + n] = length >> (8 * (lengthBytes - 1 - n));
  let at = 2 + lengthBytes;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => tlv(Tag.sequence, ...parts);
export const setOf = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => tlv(Tag.set, ...parts);
export const octetString = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => tlv(Tag.octetString, bytes);
export const boolean = (value: boolean): Uint8Array<ArrayBuffer> => tlv(Tag.boolean, Uint8Array.of(value ? 0xff : 0));
export const explicit = (number: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  tlv(contextTag(number, true), ...parts);

const noUnusedBits = Uint8Array.of(0);

export const bitString = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => tlv(Tag.bitString, noUnusedBits, bytes);

/** An INTEGER of an unsigned big-endian number: leading zeros dropped, one added where the top bit is set. */
export function unsignedInteger(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const minimal = bytes.subarray(start);
  return (minimal[0] ?? 0) >= 0x80
    ? tlv(Tag.integer, noUnusedBits, minimal)
    : tlv(Tag.integer, minimal.length === 0 ? noUnusedBits : minimal);
}

/** A BIT STRING of named bits, given by the numbers of those that are set. */
export function namedBits(...bits: readonly number[]): Uint8Array<ArrayBuffer> {
  const highest = Math.max(...bits);
  const bytes = new Uint8Array((highest >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return tlv(Tag.bitString, Uint8Array.of(7 - (highest & 7)), bytes);
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Uint8Array<ArrayBuffer> {
  const [top = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const contents: number[] = [];
  for (const arc of [top * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    contents.push(...groups);
  }
  return tlv(Tag.oid, Uint8Array.from(contents));
}

/** A time in whole seconds since the epoch: UTCTime before 2050, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(epochSeconds: number): Uint8Array<ArrayBuffer> {
  const date = new Date(epochSeconds * 1000);
  const year = date.getUTCFullYear();
  const fields = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  const pairs = year < 2050 ? [year % 100, ...fields] : [Math.floor(year / 100), year % 100, ...fields];
  const digits = new Uint8Array(2 * pairs.length + 1);
  pairs.forEach((pair, index) => {
    digits[2 * index] = 0x30 + Math.floor(pair / 10);
    digits[2 * index + 1] = 0x30 + (pair % 10);
  });
  digits[digits.length - 1] = 0x5a; // Z
  return tlv(year < 2050 ? Tag.utcTime : Tag.generalizedTime, digits);
}

/** An ECDSA signature as DER (RFC 3279 §2.2.3) from the `r || s` form that WebCrypto gives. */
export function ecdsaSignatureFromRaw(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const half = raw.length / 2;
  return sequence(unsignedInteger(raw.subarray(0, half)), unsignedInteger(raw.subarray(half)));
}

/**
 * The `r || s` form, each half `size` bytes, of an ECDSA signature in DER.
 * @throws SignetError `malformed-der`
 */
export function ecdsaSignatureToRaw(der: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const outer = new DerReader(der);
  const parts = outer.enter();
  outer.end();
  const raw = new Uint8Array(2 * size);
  for (const end of [size, 2 * size]) {
    const number = parts.integer();
    const magnitude = number[0] === 0 ? number.subarray(1) : number;
    if ((number[0] as number) >= 0x80 || magnitude.length > size) throw malformed("an ECDSA signature out of range");
    raw.set(magnitude, end - magnitude.length);
  }
  parts.end();
  return raw;
}

function hex(tag: number | undefined): string {
  return tag === undefined ? "none" : tag.toString(16).padStart(2, "0");
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-der", `not DER: ${reason}`);
}
