import { DerReader, sequence, Tag, tlv } from "@signet/shared/der";
import fc from "fast-check";

type Bytes = Uint8Array<ArrayBuffer>;

/** A value of good DER; what is constructed, and a string that holds DER itself, has parts. */
interface Node {
  readonly tag: number;
  readonly parts: readonly Node[] | undefined;
  readonly contents: Uint8Array;
}

const kinds = [
  "drop",
  "repeat",
  "swap",
  "tag",
  "empty",
  "wrap",
  "long",
  "indefinite",
  "append",
  "zero",
  "value",
] as const;

/**
 * One or two changes of the structure of good DER, all lengths around them made to fit again: what a change of single
 * bytes never reaches. Places are drawn as fractions, since the number of values is not known yet.
 */
export const derMutation: fc.Arbitrary<(bytes: Bytes) => Bytes> = fc
  .array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      place: fc.noBias(fc.nat(9_999)),
      tag: fc.oneof(fc.constantFrom(...Object.values(Tag), 0xa0, 0x80, 0x86, 0x82, 0x24, 0x23), fc.nat(255)),
      value: fc.uint8Array({ maxLength: 12 }),
    }),
    { minLength: 1, maxLength: 2 },
  )
  .map(
    (changes) => (bytes) =>
      changes.reduce<Bytes>((spoilt, change, at) => {
        // After the first change it need not be DER any more.
        const root = at === 0 ? parse(spoilt) : tryParse(spoilt);
        if (root === undefined) return spoilt;
        const target = Math.floor((change.place / 10_000) * count(root));
        return write(root, target, change, { at: 0 });
      }, bytes),
  );

interface Change {
  readonly kind: (typeof kinds)[number];
  readonly tag: number;
  readonly value: Uint8Array;
}

function parse(bytes: Uint8Array): Node {
  const reader = new DerReader(bytes);
  const node = nodeOf(reader);
  reader.end();
  return node;
}

function nodeOf(reader: DerReader): Node {
  const { tag, contents } = reader.any();
  return { tag, contents, parts: partsOf(tag, contents) };
}

function partsOf(tag: number, contents: Uint8Array): readonly Node[] | undefined {
  if ((tag & 0x20) !== 0) {
    const reader = new DerReader(contents);
    const parts: Node[] = [];
    while (!reader.done) parts.push(nodeOf(reader));
    return parts;
  }
  if (tag !== Tag.octetString) return undefined;
  const inner = tryParse(contents);
  return inner && [inner];
}

function tryParse(bytes: Uint8Array): Node | undefined {
  try {
    return parse(bytes);
  } catch {
    return undefined;
  }
}

function count({ parts = [] }: Node): number {
  return parts.reduce((sum, part) => sum + count(part), 1);
}

/** The node written again, with the one of this number changed; they are counted from the outside in. */
function write(node: Node, target: number, change: Change, number: { at: number }): Bytes {
  const here = number.at++ === target;
  const { parts } = node;
  let inner: Uint8Array[] =
    parts === undefined ? [node.contents] : parts.map((part) => write(part, target, change, number));
  if (!here) return tlv(node.tag, ...inner);
  if (change.kind === "swap" && inner.length > 1) inner = [...inner.slice(1), ...inner.slice(0, 1)];
  if (change.kind === "append") inner = [...inner, change.value];
  if (change.kind === "zero") inner = [Uint8Array.of(0), ...inner];
  if (change.kind === "empty") inner = [];
  if (change.kind === "value") inner = [change.value];
  const good = tlv(node.tag, ...inner);
  switch (change.kind) {
    case "drop":
      return new Uint8Array();
    case "repeat":
      return Uint8Array.of(...good, ...good);
    case "tag":
      return tlv(change.tag, ...inner);
    case "wrap":
      return change.value.reduce<Bytes>((value) => sequence(value), sequence(good));
    case "long":
      return Uint8Array.of(node.tag, 0x83, ...lengthOf(inner), ...inner.flatMap((part) => [...part]));
    case "indefinite":
      return Uint8Array.of(node.tag, 0x80, ...inner.flatMap((part) => [...part]), 0, 0);
    default:
      return good;
  }
}

function lengthOf(parts: readonly Uint8Array[]): number[] {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [length >> 16, (length >> 8) & 0xff, length & 0xff];
}
