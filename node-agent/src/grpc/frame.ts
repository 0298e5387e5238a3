import { SignetError } from "@signet/shared/errors";

const headBytes = 5;

/** One message as gRPC sends it: a byte that says "not compressed", four for the length, the message. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, headBytes);
  return frame;
}

/**
 * Takes bytes as they come and gives messages as they are whole (grpc: `doc/PROTOCOL-HTTP2.md`, Length-Prefixed-Message).
 * A message that comes in one piece is not copied. Of one that comes in many, memory follows what has come, not what its
 * head claims, and each byte is copied a bounded number of times.
 */
export class FrameReader {
  readonly #maxBytes: number;
  /** Head and body of the message that is not whole yet; the first {@link pending} bytes of it count. */
  #kept: Buffer | undefined;
  #pending = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept for a message that is not whole yet. */
  get pending(): number {
    return this.#pending;
  }

  /** @throws SignetError `unsupported-media-type` for a compressed message, `body-too-large` for one over the limit */
  push(chunk: Buffer): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#pending === 0) {
        const end = this.#endOf(chunk, at, chunk.length);
        if (end !== undefined && end <= chunk.length) {
          messages.push(chunk.subarray(at + headBytes, end));
          at = end;
          continue;
        }
      }
      at += this.#keep(chunk, at);
      const kept = this.#kept as Buffer;
      if (this.#endOf(kept, 0, this.#pending) === this.#pending) {
        messages.push(kept.subarray(headBytes, this.#pending));
        this.#kept = undefined;
        this.#pending = 0;
      }
    }
    return messages;
  }

  /** Where the message that begins at `from` ends, undefined while its head is not whole. */
  #endOf(bytes: Buffer, from: number, to: number): number | undefined {
    if (to - from < headBytes) return undefined;
    if (bytes.readUInt8(from) !== 0) throw new SignetError("unsupported-media-type", "a message is compressed");
    const length = bytes.readUInt32BE(from + 1);
    if (length > this.#maxBytes) {
      throw new SignetError("body-too-large", `a message of ${length} bytes; at most ${this.#maxBytes} are read`);
    }
    return from + headBytes + length;
  }

  /** Copies what belongs to the message that is not whole yet; gives how much that was. */
  #keep(chunk: Buffer, at: number): number {
    const needed = this.#endOf(this.#kept ?? chunk, 0, this.#pending) ?? headBytes;
    const taken = Math.min(needed - this.#pending, chunk.length - at);
    const used = this.#pending + taken;
    if (this.#kept === undefined || this.#kept.length < used) {
      const larger = Buffer.allocUnsafe(Math.max(used, Math.min(needed, 2 * this.#pending)));
      this.#kept?.copy(larger, 0, 0, this.#pending);
      this.#kept = larger;
    }
    chunk.copy(this.#kept, this.#pending, at, at + taken);
    this.#pending = used;
    return taken;
  }
}
