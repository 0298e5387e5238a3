import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";

/** Writes all bytes or throws with an errno code; may write a part and give its length. */
export type WriteBytes = (bytes: Uint8Array) => number;

const newline = 0x0a;

/**
 * A place for log lines that never ends the process nor holds it up: a line that cannot be written is lost and
 * counted, be the disk full (ENOSPC), the reader gone (EPIPE) or the reader asleep with a full pipe (EAGAIN). Lines
 * are written in order and at once, so that the last one before an end is there, too; after a gap comes a line that
 * says how many are missing.
 */
export class LogSink {
  readonly #write: WriteBytes;
  readonly #onLost: () => void;
  #lost = 0;
  /** What was written last ended in the middle of a line. */
  #broken = false;

  constructor(write: WriteBytes, onLost: () => void) {
    this.#write = write;
    this.#onLost = onLost;
  }

  /** @param line one line with its newline */
  write(line: string): void {
    try {
      if (this.#lost > 0 || this.#broken) this.#mendGap();
      this.#writeAll(Buffer.from(line));
    } catch {
      this.#lost++;
      this.#onLost();
    }
  }

  #mendGap(): void {
    const gap = { level: "warn", time: new Date().toISOString(), program: "signet-agent", lines: this.#lost };
    const told = this.#lost === 0 ? "" : `${JSON.stringify({ ...gap, msg: "log lines were lost" })}\n`;
    this.#writeAll(Buffer.from(`${this.#broken ? "\n" : ""}${told}`));
    this.#lost = 0;
  }

  #writeAll(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const written = this.#write(bytes.subarray(at));
      at += written;
      if (written > 0) this.#broken = bytes[at - 1] !== newline;
    }
  }
}

/**
 * Standard error. Where it is a pipe it is opened once more, for us alone and without blocking: a reader that sleeps,
 * as a container runtime on a full disk does, would else stop the whole agent with the first line that does not fit
 * into the pipe.
 */
export function standardError(): WriteBytes {
  const descriptor = openWithoutBlocking() ?? 2;
  return (bytes) => writeSync(descriptor, bytes);
}

function openWithoutBlocking(): number | undefined {
  let descriptor: number | undefined;
  try {
    if (!fstatSync(2).isFIFO()) return undefined;
    descriptor = openSync("/proc/self/fd/2", constants.O_WRONLY | constants.O_NONBLOCK);
    if (fstatSync(descriptor).ino === fstatSync(2).ino) return descriptor;
  } catch {
    // It belongs to another user, or is closed: as it is, then.
  }
  if (descriptor !== undefined) closeSync(descriptor);
  return undefined;
}
