/** As much of HTTP/2 (RFC 9113) as a client with prepared bytes needs: frames, and header blocks without compression. */

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
export const flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const headBytes = 9;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const initialWindowSize = 4;
const wide = 1 << 30;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const bytes = Buffer.alloc(headBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, headBytes);
  return bytes;
}

/** A client's first bytes, with windows that nothing here ever fills. */
export function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(initialWindowSize, 0);
  settings.writeUInt32BE(wide, 2);
  const update = Buffer.alloc(4);
  update.writeUInt32BE(wide);
  return Buffer.concat([
    preface,
    frame(frameType.settings, 0, 0, settings),
    frame(frameType.windowUpdate, 0, 0, update),
  ]);
}

/** RFC 7541 §6.2.2: each field literally, with a new name, without indexing. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), ...text(name), ...text(value)]),
  );
}

function text(value: string): readonly Buffer[] {
  return [Buffer.from(integer(Buffer.byteLength(value))), Buffer.from(value)];
}

// RFC 7541 §5.1 with a prefix of seven bits.
function integer(value: number): number[] {
  if (value < 127) return [value];
  const bytes = [127];
  for (let rest = value - 127; ; rest >>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Takes bytes as they come and gives frames as they are whole. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Frame> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const end = at + headBytes + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      yield {
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
        payload: bytes.subarray(at + headBytes, end),
      };
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}
