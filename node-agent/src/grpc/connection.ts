import {
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from "node:http2";
import type { Socket } from "node:net";
import { ServerCall } from "./call.ts";
import { isGrpc } from "./headers.ts";
import type { GrpcLimits } from "./limits.ts";
import { type CallEnd, Status } from "./status.ts";

/** What a method does with a call: it reads from it, or ends it, at once or later. */
export type Method = (call: ServerCall) => void;

export interface ConnectionOptions {
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, Method>;
  readonly limits: GrpcLimits;
  /** Decides whether there is room for one more call, and makes it where it can be made. */
  readonly makeRoom: (asking: GrpcConnection) => boolean;
  readonly onCalls: (change: number) => void;
  readonly onPartial: (bytes: number) => void;
  readonly onClosed: (connection: GrpcConnection) => void;
}

/**
 * One client's connection: HTTP/2 by Node, gRPC's rules for requests on top. Bounds that are nghttp2's own (header
 * block, frames, acknowledgements that the client does not read, resets in a row) are set in {@link sessionOptions}.
 */
export class GrpcConnection {
  readonly #calls = new Set<ServerCall>();
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  #idleSince = performance.now();
  #isCut = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#session = performServerHandshake(socket, sessionOptions(options.limits));
    // Whatever a client does wrong ends its connection, at once: Node would wait for it to read what is on its way.
    this.#session.on("error", () => this.cut());
    this.#session.once("close", () => options.onClosed(this));
    this.#session.on("stream", (stream, _headers, _flags, rawHeaders) => this.#open(stream, rawHeaders));
  }

  get isTrusted(): boolean {
    for (const call of this.#calls) if (call.isTrusted()) return true;
    return false;
  }

  /** Since when the oldest message has been coming that is not whole yet, undefined without one. */
  get partialSince(): number | undefined {
    let oldest: number | undefined;
    for (const { awaitingSince, partialBytes } of this.#calls) {
      if (partialBytes > 0 && awaitingSince !== undefined) oldest = Math.min(oldest ?? awaitingSince, awaitingSince);
    }
    return oldest;
  }

  /** Why the connection is to be closed now, if so; ends calls whose client keeps a message back. */
  overdue(now: number): "idle" | "not-reading" | undefined {
    const { idleMilliseconds, messageMilliseconds, sendMilliseconds } = this.#options.limits;
    if (this.#calls.size === 0) return now - this.#idleSince > idleMilliseconds ? "idle" : undefined;
    for (const call of this.#calls) {
      if (now - (call.sendingSince ?? now) > sendMilliseconds) return "not-reading";
      if (now - (call.awaitingSince ?? now) > messageMilliseconds) call.end(requestOverdue);
    }
    return undefined;
  }

  /** Takes no more calls, and is gone when those that are open have ended. */
  drain(): void {
    this.#session.close();
  }

  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    // Counted as gone at once, so that making room for one call costs one connection.
    this.#options.onCalls(-this.#calls.size);
    this.#session.destroy();
    // A session waits for its client to read what is on its way.
    setImmediate(() => this.#socket.destroy());
  }

  #open(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    if (this.#isCut) return;
    const { limits, onCalls, onPartial } = this.#options;
    const call = new ServerCall(stream, rawHeaders, limits.maxMessageBytes, onPartial, () => {
      this.#calls.delete(call);
      if (this.#calls.size === 0) this.#idleSince = performance.now();
      if (!this.#isCut) onCalls(-1);
    });
    this.#calls.add(call);
    onCalls(1);
    this.#dispatch(call);
  }

  #dispatch(call: ServerCall): void {
    const { limits, makeRoom, methods } = this.#options;
    const { headers } = call;
    const method = methods.get(headers.first(":path") ?? "");
    if (headers.first(":method") !== "POST") call.refuse(405);
    else if (!isGrpc(headers.first("content-type"))) call.refuse(415);
    else if (method === undefined) call.end(noMethod);
    else if ((headers.first("grpc-encoding") ?? "identity") !== "identity") call.end(compressed);
    else if (this.#calls.size > limits.maxUntrustedCallsPerConnection && !this.isTrusted) call.end(tooMany);
    else if (!makeRoom(this)) call.end(tooMany);
    else if (call.isOpen) method(call);
  }
}

const noMethod: CallEnd = { code: Status.UNIMPLEMENTED, message: "there is no such method here" };
const compressed: CallEnd = { code: Status.UNIMPLEMENTED, message: "compressed messages are not taken here" };
const tooMany: CallEnd = { code: Status.RESOURCE_EXHAUSTED, message: "too many streams are open; try again later" };
const requestOverdue: CallEnd = { code: Status.DEADLINE_EXCEEDED, message: "the request does not come" };

function sessionOptions({ maxCallsPerConnection }: GrpcLimits): ServerSessionOptions {
  return {
    settings: {
      enablePush: false,
      maxConcurrentStreams: maxCallsPerConnection,
      // Three headers can carry a token each.
      maxHeaderListSize: 64 * 1_024,
    },
    maxHeaderListPairs: 64,
    // A client has a reason to send its settings once, and no reason to send many of them.
    maxSettings: 16,
    maxSessionInvalidFrames: 32,
    maxSessionRejectedStreams: 32,
    // Calls that are cancelled again: a burst as of an Envoy that loses its listeners, then a few each second.
    streamResetBurst: 256,
    streamResetRate: 16,
    // MiB; of what nghttp2 holds for a client that does not read.
    maxSessionMemory: 4,
  };
}
