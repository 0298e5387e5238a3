import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "@signet/node-agent/gen/envoy/service/discovery/v3/discovery_pb";
import { FrameSplitter, flag, frame, frameType, headerBlock, opening } from "../support/http2-bytes.ts";

const path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
/** One stream each, by its number in HTTP/2. */
const nameByStream = new Map([
  [1, "default"],
  [3, "ROOTCA"],
]);
const grpcHeadBytes = 5;

/** Where a sidecar asks, and with which token; without one on a socket of its own. */
export interface Place {
  readonly socket: string;
  readonly token?: string;
}

/**
 * Envoys as far as SDS goes: one connection each, one stream for each secret, every response accepted. Their requests are
 * bytes that are made before anything is measured, so that it is the agent that is measured.
 */
export class Sidecars {
  readonly #sidecars: Sidecar[];
  readonly #places: readonly Place[];

  constructor(places: readonly Place[]) {
    this.#places = places;
    this.#sidecars = places.map((place) => new Sidecar(place));
  }

  /**
   * Resolves when somebody listens on the first place, as each Envoy finds out by trying again and again.
   * @param giveUp ends the waiting early: whatever it returns is thrown
   */
  async untilListening(giveUp: () => Error | undefined): Promise<void> {
    const [first] = this.#places;
    while (first !== undefined && !(await accepts(first.socket))) {
      const reason = giveUp();
      if (reason !== undefined) throw reason;
      await sleep(2);
    }
  }

  /** Resolves when each sidecar has both of its secrets. */
  async start(): Promise<void> {
    await Promise.all(this.#sidecars.map((sidecar) => sidecar.start()));
  }

  /** Resolves when each sidecar has had its certificate as many times as this. */
  async untilCertificates(count: number): Promise<void> {
    await Promise.all(this.#sidecars.map((sidecar) => sidecar.untilCertificates(count)));
  }

  stop(): void {
    for (const sidecar of this.#sidecars) sidecar.stop();
  }
}

class Sidecar {
  readonly #place: Place;
  readonly #firstBytes: Buffer;
  readonly #splitter = new FrameSplitter();
  readonly #received = new Map<number, number>();
  readonly #partial = new Map<number, Buffer>();
  #socket: Socket | undefined;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(place: Place) {
    this.#place = place;
    const headers = headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": "sds-grpc",
      te: "trailers",
      "content-type": "application/grpc",
      ...(place.token === undefined ? {} : { authorization: place.token }),
    });
    const streams = [...nameByStream].flatMap(([stream, name]) => [
      frame(frameType.headers, flag.endHeaders, stream, headers),
      frame(frameType.data, 0, stream, request(name)),
    ]);
    this.#firstBytes = Buffer.concat([opening(), ...streams]);
  }

  async start(): Promise<void> {
    const socket = connect(this.#place.socket);
    this.#socket = socket;
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the agent closed the connection")));
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.write(this.#firstBytes);
    await this.#until(() => [...nameByStream.keys()].every((stream) => (this.#received.get(stream) ?? 0) > 0));
  }

  async untilCertificates(count: number): Promise<void> {
    await this.#until(() => (this.#received.get(1) ?? 0) >= count);
  }

  stop(): void {
    this.#failure = new Error("stopped");
    this.#socket?.destroy();
  }

  #take(chunk: Buffer): void {
    for (const { type, flags, stream, payload } of this.#splitter.push(chunk)) {
      const isAck = (flags & flag.ack) !== 0;
      if (type === frameType.data) this.#takeData(stream, payload);
      else if (type === frameType.settings && !isAck) this.#socket?.write(settingsAck);
      else if (type === frameType.ping && !isAck) this.#socket?.write(frame(frameType.ping, flag.ack, 0, payload));
      else if (type === frameType.reset || type === frameType.goAway || endsStream(type, flags)) {
        this.#fail(new Error(`stream ${stream} ended by a frame of type ${type}`));
      }
    }
  }

  #takeData(stream: number, payload: Buffer): void {
    const before = this.#partial.get(stream);
    const bytes = before === undefined ? payload : Buffer.concat([before, payload]);
    const whole = bytes.length >= grpcHeadBytes && bytes.length >= grpcHeadBytes + bytes.readUInt32BE(1);
    if (!whole) {
      this.#partial.set(stream, bytes);
      return;
    }
    this.#partial.delete(stream);
    this.#received.set(stream, (this.#received.get(stream) ?? 0) + 1);
    const { nonce, versionInfo } = fromBinary(DiscoveryResponseSchema, bytes.subarray(grpcHeadBytes));
    this.#socket?.write(frame(frameType.data, 0, stream, request(nameByStream.get(stream) ?? "", nonce, versionInfo)));
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #until(isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function endsStream(type: number, flags: number): boolean {
  return type === frameType.headers && (flags & flag.endStream) !== 0;
}

const settingsAck = frame(frameType.settings, flag.ack, 0);

function request(name: string, responseNonce = "", versionInfo = ""): Uint8Array {
  const message = toBinary(
    DiscoveryRequestSchema,
    create(DiscoveryRequestSchema, {
      node: { id: "sidecar~10.0.0.1~sleep", cluster: "sleep" },
      resourceNames: [name],
      responseNonce,
      versionInfo,
    }),
  );
  const bytes = Buffer.alloc(grpcHeadBytes + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, grpcHeadBytes);
  return bytes;
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
