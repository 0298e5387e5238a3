import { closeSync, constants as fileConstants, openSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { basename, dirname } from "node:path";
import { SignetError } from "@signet/shared/errors";
import { encodeFrame, FrameReader } from "../grpc/frame.ts";
import { type CallEnd, Status } from "../grpc/status.ts";

// A gateway's secrets with a long bundle are some hundred KiB.
const maxMessageBytes = 16 * 1024 * 1024;

/** A connection to a gRPC server on a Unix socket, whose HTTP/2 handshake is done. */
export class GrpcConnection {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** @throws SignetError `agent-unreachable` saying what is there instead */
  static open(socketPath: string, withinMilliseconds: number): Promise<GrpcConnection> {
    return new Promise((resolve, reject) => {
      const { path, release } = shortened(socketPath);
      const socket = connectSocket(path);
      const session = connectHttp2("http://localhost", { createConnection: () => socket });
      let connected = false;
      socket.once("connect", () => {
        connected = true;
        release();
      });
      const fail = (reason: string, cause?: unknown) => {
        clearTimeout(timer);
        release();
        reject(new SignetError("agent-unreachable", `${socketPath}: ${reason}`, { cause }));
        session.destroy();
        socket.destroy();
      };
      const timer = setTimeout(
        () => fail(`no HTTP/2 handshake within ${withinMilliseconds / 1_000} s`),
        withinMilliseconds,
      );
      session.on("error", (error) => fail(reasonOf(error, connected), error));
      session.once("close", () => fail("the connection was closed before the HTTP/2 handshake was done"));
      session.once("remoteSettings", () => {
        clearTimeout(timer);
        resolve(new GrpcConnection(session));
      });
    });
  }

  /** @param path `/package.Service/Method` */
  call(path: string, headers: Readonly<Record<string, string>> = {}): GrpcCall {
    return new GrpcCall(
      this.#session.request(
        {
          [constants.HTTP2_HEADER_METHOD]: "POST",
          [constants.HTTP2_HEADER_PATH]: path,
          "content-type": "application/grpc",
          te: "trailers",
          ...headers,
        },
        { endStream: false },
      ),
    );
  }

  close(): void {
    this.#session.destroy();
  }
}

/** One call with streams both ways; a unary one is such a call with one message each. */
export class GrpcCall {
  readonly #stream: ClientHttp2Stream;
  readonly #reader = new FrameReader(maxMessageBytes);
  readonly #messages: Uint8Array[] = [];
  #end: CallEnd | undefined;
  #wake: () => void = () => undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on("response", (headers) => {
      if (headers["grpc-status"] !== undefined) this.#finish(endOf(headers));
      else if (headers[":status"] !== 200) {
        this.#finish({ code: Status.UNKNOWN, message: `HTTP status ${headers[":status"]}` });
      }
    });
    stream.on("trailers", (headers) => this.#finish(endOf(headers)));
    stream.on("data", (chunk: Buffer) => {
      try {
        this.#messages.push(...this.#reader.push(chunk));
      } catch (error) {
        this.#finish({ code: Status.INTERNAL, message: error instanceof Error ? error.message : String(error) });
        this.cancel();
      }
      this.#wake();
    });
    stream.on("error", (error) => this.#finish({ code: Status.UNAVAILABLE, message: error.message }));
    stream.on("close", () => {
      this.#finish({ code: Status.UNAVAILABLE, message: "the connection was closed without a word" });
    });
  }

  /** @returns when it is on its way, or the call is over */
  send(message: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.destroyed) resolve();
      else this.#stream.write(encodeFrame(message), () => resolve());
    });
  }

  /** Says that nothing more is sent. */
  finish(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** The next message, or how the call ended; after a message that was not taken, never before it. */
  async next(signal: AbortSignal): Promise<Uint8Array | CallEnd | undefined> {
    const woken = () => this.#wake();
    signal.addEventListener("abort", woken);
    try {
      for (;;) {
        const message = this.#messages.shift();
        if (message !== undefined) return message;
        if (this.#end !== undefined) return this.#end;
        if (signal.aborted) return undefined;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", woken);
    }
  }

  #finish(end: CallEnd): void {
    this.#end ??= end;
    this.#wake();
  }
}

function endOf(headers: Readonly<Record<string, unknown>>): CallEnd {
  const code = Number(headers["grpc-status"] ?? Status.UNKNOWN);
  return { code: Number.isInteger(code) ? code : Status.UNKNOWN, message: decodeMessage(headers["grpc-message"]) };
}

// Percent-encoded (grpc: `doc/PROTOCOL-HTTP2.md`); what cannot be decoded is shown as it came.
function decodeMessage(text: unknown): string {
  if (typeof text !== "string") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// sun_path of sockaddr_un on Linux, less its terminating zero.
const maxPathBytes = 107;

/** A path that fits into a socket's address: those of pods' volumes are often too long, and the kernel knows a way round. */
function shortened(path: string): { path: string; release: () => void } {
  if (Buffer.byteLength(path) <= maxPathBytes) return { path, release: () => undefined };
  let directory: number | undefined;
  try {
    directory = openSync(dirname(path), fileConstants.O_RDONLY | fileConstants.O_DIRECTORY);
  } catch {
    // It fails again in a moment, with an error for people.
    return { path, release: () => undefined };
  }
  const release = () => {
    if (directory !== undefined) closeSync(directory);
    directory = undefined;
  };
  return { path: `/proc/self/fd/${directory}/${basename(path)}`, release };
}

function reasonOf(error: Error, connected: boolean): string {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return "there is no such socket; is the agent running?";
  if (code === "ECONNREFUSED")
    return "nobody serves it: what is there was left behind by a process that is gone; start the agent";
  if (code === "EACCES" || code === "EPERM")
    return "this user may not open it; run as the user of the agent, or see its --socket-mode";
  if (code === "ENOTSOCK" || code === "ENOTDIR") return "it is no socket";
  if (code === "EINVAL") return "its path is too long for a socket, or no path";
  return connected ? `what serves it does not speak HTTP/2 (${code || error.message})` : code || error.message;
}
