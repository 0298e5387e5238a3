import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { asSignetError, type SignetErrorCode } from "@signet/shared/errors";
import { encodeFrame, FrameReader } from "./frame.ts";
import { CallHeaders, encodeMessage, readTimeout } from "./headers.ts";
import { type CallEnd, Status } from "./status.ts";

const responseHeaders = { ":status": 200, "content-type": "application/grpc+proto" } as const;
const longestTimer = 2 ** 31 - 1;

const statusByCode: Partial<Record<SignetErrorCode, Status>> = {
  "unsupported-media-type": Status.UNIMPLEMENTED,
  "body-too-large": Status.RESOURCE_EXHAUSTED,
};

/** One call of a client: messages both ways, then a status. Nothing is read before {@link read}. */
export class ServerCall {
  readonly headers: CallHeaders;
  /** One object for all calls of a connection. */
  readonly connection: object;
  /** Whether there is more than the client's own word for who it is; asked when room gets scarce. */
  isTrusted: () => boolean = () => false;
  /** The call is over, whoever ended it; comes once, and nothing comes after it. */
  onClosed: () => void = () => undefined;
  /** Since when a message has been awaited that must come in time, on the clock of `performance.now()`. */
  awaitingSince: number | undefined;
  /** Since when something has been waiting for the client to read. */
  sendingSince: number | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #reader: FrameReader;
  readonly #onPartial: (bytes: number) => void;
  #onMessage: (message: Uint8Array) => void = () => undefined;
  #partialBytes = 0;
  #ended = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param onPartial is told of every change of the bytes that are kept for a message that is not whole yet
   * @param onGone is called once, when nothing is left of the call
   */
  constructor(
    stream: ServerHttp2Stream,
    headers: readonly string[],
    maxMessageBytes: number,
    onPartial: (bytes: number) => void,
    onGone: () => void,
  ) {
    this.#stream = stream;
    this.connection = stream.session ?? this;
    this.headers = new CallHeaders(headers);
    this.#reader = new FrameReader(maxMessageBytes);
    this.#onPartial = onPartial;
    // Without a listener a client's reset would end the process; what it means is in "close".
    stream.on("error", () => undefined);
    stream.once("close", () => {
      this.#over();
      this.#countPartial(0);
      clearTimeout(this.#timer);
      onGone();
    });
    this.#setDeadline(readTimeout(this.headers.first("grpc-timeout")));
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** Bytes that are kept for a message that is not whole yet. */
  get partialBytes(): number {
    return this.#partialBytes;
  }

  /**
   * Begins to read.
   * @param onHalfClosed the client sends nothing more; it may still wait for messages
   */
  read(onMessage: (message: Uint8Array) => void, onHalfClosed: () => void): void {
    if (this.#closed) return;
    this.#onMessage = onMessage;
    this.awaitingSince = performance.now();
    this.#stream.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#stream.once("end", () => {
      if (this.#closed) return;
      this.awaitingSince = undefined;
      if (this.#reader.pending > 0) this.end({ code: Status.INTERNAL, message: "the request ends within a message" });
      else onHalfClosed();
    });
  }

  /**
   * Sends one message.
   * @param done is called when the client has room for the next one
   */
  send(message: Uint8Array, done: () => void): void {
    const stream = this.#stream;
    if (this.#closed || stream.closed || stream.destroyed) return;
    if (!stream.headersSent) stream.respond(responseHeaders, { waitForTrailers: true });
    this.sendingSince = performance.now();
    stream.write(encodeFrame(message), () => {
      if (this.#closed) return;
      this.sendingSince = undefined;
      if (stream.isPaused()) stream.resume();
      done();
    });
  }

  /** Ends the call with a status, after what was sent before. */
  end({ code, message }: CallEnd): void {
    if (this.#closed) return;
    const stream = this.#stream;
    this.#ended = true;
    this.#over();
    // A client that went away in this moment is told nothing.
    if (stream.destroyed || stream.closed) return;
    this.sendingSince = performance.now();
    const trailers = {
      "grpc-status": String(code),
      ...(message === "" ? {} : { "grpc-message": encodeMessage(message) }),
    };
    if (!stream.headersSent) {
      this.#close({ ...responseHeaders, ...trailers });
      return;
    }
    stream.once("wantTrailers", () => {
      stream.sendTrailers(trailers);
      // They leave in an immediate of Node's own, which comes before this one.
      setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    stream.end();
  }

  /** Answers what is no gRPC call in HTTP's words. */
  refuse(httpStatus: number): void {
    if (this.#closed) return;
    this.#ended = true;
    this.#over();
    if (!this.#stream.closed && !this.#stream.destroyed) this.#close({ ":status": httpStatus });
  }

  #close(headers: OutgoingHttpHeaders): void {
    this.#stream.respond(headers, { endStream: true });
    // What the client still sends is not wanted any more: it is told so once it has the answer.
    this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #take(chunk: Buffer): void {
    if (this.#closed) return;
    const wasSending = this.sendingSince !== undefined;
    let messages: readonly Uint8Array[];
    try {
      messages = this.#reader.push(chunk);
    } catch (caught) {
      const { code, message } = asSignetError(caught, "internal");
      this.end({ code: statusByCode[code] ?? Status.INTERNAL, message });
      return;
    }
    // The time counts from where a message begins, not from its last piece.
    if (messages.length > 0) this.awaitingSince = undefined;
    if (this.#reader.pending > 0) this.awaitingSince ??= performance.now();
    this.#countPartial(this.#reader.pending);
    for (const message of messages) {
      if (this.#closed) return;
      this.#onMessage(message);
    }
    // A client that does not read is not read from either: what it goes on asking for waits at its end.
    if (wasSending && this.sendingSince !== undefined && !this.#closed) this.#stream.pause();
  }

  #countPartial(bytes: number): void {
    if (bytes === this.#partialBytes) return;
    const change = bytes - this.#partialBytes;
    this.#partialBytes = bytes;
    this.#onPartial(change);
  }

  #setDeadline(timeout: number | "invalid" | undefined): void {
    if (timeout === undefined) return;
    if (timeout === "invalid") {
      this.end({ code: Status.INTERNAL, message: "the header grpc-timeout says no time" });
      return;
    }
    this.#timer = setTimeout(
      () => this.end({ code: Status.DEADLINE_EXCEEDED, message: "the deadline that the client set is over" }),
      Math.min(timeout, longestTimer),
    );
  }

  #over(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.awaitingSince = undefined;
    if (!this.#ended) this.sendingSince = undefined;
    this.onClosed();
  }
}
