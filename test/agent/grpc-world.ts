import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerCall } from "@signet/node-agent/grpc/call";
import type { GrpcLimits } from "@signet/node-agent/grpc/limits";
import { GrpcServer } from "@signet/node-agent/grpc/server";
import { Status } from "@signet/node-agent/grpc/status";
import { Metrics } from "@signet/node-agent/metrics";
import { expect } from "vitest";
import { type Frame, FrameSplitter, flag, frame, frameType, headerBlock } from "../support/http2-bytes.ts";
import { until } from "../support/poll.ts";
import { makeLogger } from "../support/test-logger.ts";

const echo = "/test/Echo";
const patient = 3_600_000;

export const headers = {
  ":method": "POST",
  ":scheme": "http",
  ":path": echo,
  ":authority": "agent",
  te: "trailers",
  "content-type": "application/grpc",
};

/** A gRPC server on a socket, whose one method echoes each message; no deadline of it is short unless told. */
export class GrpcWorld {
  readonly metrics = new Metrics();
  readonly calls: ServerCall[] = [];
  messages = 0;
  readonly server: GrpcServer;
  readonly #folder: string;
  readonly #listening: Server;
  readonly #sockets: Socket[] = [];
  readonly #sessions: ClientHttp2Session[] = [];

  private constructor(folder: string, limits: Partial<GrpcLimits>, isTrusted: (call: ServerCall) => boolean) {
    this.#folder = folder;
    const method = (call: ServerCall) => {
      this.calls.push(call);
      call.isTrusted = () => isTrusted(call);
      call.read(
        (message) => {
          this.messages++;
          call.send(message, () => undefined);
        },
        () => call.end({ code: Status.OK, message: "" }),
      );
    };
    this.server = new GrpcServer({
      methods: new Map([[echo, method]]),
      limits: { idleMilliseconds: patient, messageMilliseconds: patient, sendMilliseconds: patient, ...limits },
      metrics: this.metrics,
      log: makeLogger(),
    });
    this.#listening = createServer((socket) => this.server.connect(socket));
  }

  static async start(
    limits: Partial<GrpcLimits> = {},
    isTrusted: (call: ServerCall) => boolean = () => false,
  ): Promise<GrpcWorld> {
    const world = new GrpcWorld(await mkdtemp(join(tmpdir(), "signet-grpc-")), limits, isTrusted);
    await new Promise<void>((resolve) => world.#listening.listen(world.#socket, resolve));
    return world;
  }

  get #socket(): string {
    return join(this.#folder, "s");
  }

  /** Sockets that are open at this end, whatever the server thinks of them. */
  openSockets(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#listening.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  raw(): RawClient {
    const client = new RawClient(connect(this.#socket));
    this.#sockets.push(client.socket);
    return client;
  }

  session(): ClientHttp2Session {
    const opened = connectHttp2("http://agent", { createConnection: () => connect(this.#socket) });
    opened.on("error", () => undefined);
    this.#sessions.push(opened);
    return opened;
  }

  /** That an honest client is served, now. */
  async expectService(): Promise<void> {
    const honest = this.session();
    const stream = honest.request({ ...headers });
    const answer = ended(stream);
    stream.end(message(3));
    expect(await answer).toMatchObject({ httpStatus: 200, status: "0", body: message(3) });
    honest.destroy();
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await this.server.stop(0);
    await new Promise((resolve) => this.#listening.close(resolve));
    await rm(this.#folder, { recursive: true });
    expect(this.metrics.connections).toBe(0);
  }
}

/** A client that sends whatever bytes a test likes. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;

  constructor(socket: Socket) {
    const splitter = new FrameSplitter();
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (chunk: Buffer) => this.frames.push(...splitter.push(chunk)));
  }

  send(...bytes: readonly Uint8Array[]): this {
    this.socket.write(Buffer.concat(bytes));
    return this;
  }

  async untilClosed(): Promise<void> {
    await until("the server closes the connection", () => this.closed, { every: 5 });
  }
}

export const openCall = (stream: number, more: Readonly<Record<string, string>> = {}) =>
  frame(frameType.headers, flag.endHeaders, stream, headerBlock({ ...headers, ...more }));

export const data = (stream: number, bytes: Uint8Array) => frame(frameType.data, 0, stream, bytes);

/** A message of zeros as gRPC frames it. @param sent how much of it is there */
export function message(length: number, sent = length): Buffer {
  const bytes = Buffer.alloc(5 + sent);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

export interface Answer {
  readonly httpStatus: unknown;
  readonly status: unknown;
  readonly message: unknown;
  readonly body: Buffer;
  readonly reset: number | undefined;
}

/** What a call comes to, when it has come to its end. */
export function ended(stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = [];
  let first: Record<string, unknown> = {};
  let last: Record<string, unknown> = {};
  stream.on("response", (response) => {
    first = response;
  });
  stream.on("trailers", (trailers) => {
    last = trailers;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  return new Promise((resolve) => {
    stream.on("close", () =>
      resolve({
        httpStatus: first[":status"],
        status: last["grpc-status"] ?? first["grpc-status"],
        message: last["grpc-message"] ?? first["grpc-message"],
        body: Buffer.concat(chunks),
        reset: stream.rstCode,
      }),
    );
  });
}
