import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameReader } from "./frame.ts";

const maxBytes = 300;
const messages = fc.array(fc.uint8Array({ maxLength: maxBytes }), { maxLength: 8 });
const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 20 });

/** The bytes in pieces, cut where it is said. */
function pieces(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [...new Set([0, ...at.filter((edge) => edge < bytes.length), bytes.length])].toSorted((a, b) => a - b);
  return edges.slice(1).map((edge, n) => Buffer.from(bytes.subarray(edges[n], edge)));
}

test("messages come out as they went in, however their bytes are cut", () => {
  fc.assert(
    fc.property(messages, cuts, (sent, at) => {
      const reader = new FrameReader(maxBytes);
      const got = pieces(Buffer.concat(sent.map(encodeFrame)), at).flatMap((piece) => reader.push(piece));
      expect(got.map((one) => [...one])).toEqual(sent.map((one) => [...one]));
      expect(reader.pending).toBe(0);
    }),
  );
});

test("of any bytes, no more is kept than has come, and nothing but our own errors is thrown", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), cuts, (bytes, at) => {
      const reader = new FrameReader(maxBytes);
      let come = 0;
      try {
        for (const piece of pieces(Buffer.from(bytes), at)) {
          come += piece.length;
          for (const message of reader.push(piece)) come -= 5 + message.length;
          expect(reader.pending).toBe(come);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(SignetError);
      }
    }),
  );
});

test.each([
  { what: "compressed", bytes: [1, 0, 0, 0, 0], code: "unsupported-media-type" },
  { what: "over the limit by what it claims", bytes: [0, 0, 0, 1, 45], code: "body-too-large" },
])("a message that is $what is refused, byte by byte too", ({ bytes, code }) => {
  expect(() => new FrameReader(maxBytes).push(Buffer.from(bytes))).toThrowError(expect.objectContaining({ code }));
  const reader = new FrameReader(maxBytes);
  expect(() => {
    for (const byte of bytes) reader.push(Buffer.of(byte));
  }).toThrowError(expect.objectContaining({ code }));
});

test("a message that comes in one piece is not copied", () => {
  const frame = encodeFrame(Uint8Array.of(1, 2, 3));
  expect(new FrameReader(maxBytes).push(frame)[0]?.buffer).toBe(frame.buffer);
});
