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

/** Takes bytes as they come and gives messages as they are whole. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws SignetError `malformed-request` for what is no gRPC, or over the limit */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: Uint8Array[] = [];
    while (this.#rest.length >= headBytes) {
      if (this.#rest.readUInt8(0) !== 0) throw malformed("a message is compressed, which nobody asked for");
      const length = this.#rest.readUInt32BE(1);
      if (length > this.#maxBytes) throw malformed(`a message of ${length} bytes; at most ${this.#maxBytes} are read`);
      if (this.#rest.length < headBytes + length) break;
      messages.push(this.#rest.subarray(headBytes, headBytes + length));
      this.#rest = this.#rest.subarray(headBytes + length);
    }
    return messages;
  }
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-request", `what answers does not speak gRPC: ${reason}`);
}
