import fc from "fast-check";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * One to three changes of the kinds that reach deep into a format: a bit or byte another, some cut out, some put in, some
 * said twice, the end cut off. Places are drawn as fractions, since the length of what is changed is not known yet.
 */
export const mutation: fc.Arbitrary<(bytes: Bytes) => Bytes> = fc
  .array(change(), { minLength: 1, maxLength: 3 })
  .map((changes) => (bytes) => changes.reduce((spoilt, one) => one(spoilt), bytes));

function change(): fc.Arbitrary<(bytes: Bytes) => Bytes> {
  // Without the bias to small numbers, which would leave the far end of everything alone.
  const place = fc.noBias(fc.nat(9_999)).map((part) => part / 10_000);
  const values = fc.oneof(
    // Lengths, tags and limits of DER; line ends and signs of PEM.
    fc.constantFrom(
      0x00,
      0x01,
      0x02,
      0x03,
      0x05,
      0x06,
      0x0a,
      0x20,
      0x2d,
      0x30,
      0x31,
      0x3d,
      0x7f,
      0x80,
      0x81,
      0x84,
      0xa0,
      0xff,
    ),
    fc.nat(255),
  );
  return fc
    .record({
      kind: fc.constantFrom("flip", "set", "cut", "insert", "repeat", "end"),
      place,
      bit: fc.nat(7),
      put: fc.array(values, { minLength: 1, maxLength: 4 }),
      length: fc.integer({ min: 1, max: 8 }),
    })
    .map(({ kind, place: fraction, bit, put, length }) => (bytes: Bytes): Bytes => {
      const at = Math.floor(fraction * bytes.length);
      const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
      switch (kind) {
        case "flip":
          return bytes.length === 0 ? bytes : bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit));
        case "set":
          return Uint8Array.of(...before, ...put, ...after.subarray(put.length));
        case "cut":
          return Uint8Array.of(...before, ...after.subarray(length));
        case "insert":
          return Uint8Array.of(...before, ...put, ...after);
        case "repeat":
          return Uint8Array.of(...before, ...after.subarray(0, length), ...after);
        default:
          return before.slice();
      }
    });
}
