import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema } from "@signet/node-agent/gen/envoy/service/discovery/v3/discovery_pb";

const names = ["default", "ROOTCA"];
const path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

/** Where a sidecar asks, and with which token; without one on a socket of its own. */
export interface Place {
  readonly socket: string;
  readonly token?: string;
}

/** Envoys as far as SDS goes: one connection each, one stream for each secret, no ACK, nothing decoded. */
export class Sidecars {
  readonly #sessions: ClientHttp2Session[] = [];

  /** Resolves when each sidecar has both of its secrets. */
  async start(places: readonly Place[]): Promise<void> {
    await Promise.all(places.map((place) => this.#sidecar(place)));
  }

  stop(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async #sidecar({ socket, token }: Place): Promise<void> {
    const session = await this.#connect(socket);
    this.#sessions.push(session);
    await Promise.all(names.map((name) => this.#secret(session, token, name)));
  }

  // As Envoy does, before the agent is there: again and again.
  async #connect(socket: string): Promise<ClientHttp2Session> {
    for (;;) {
      const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
      const connected = await new Promise<boolean>((resolve) => {
        session.once("connect", () => resolve(true));
        session.once("error", () => resolve(false));
      });
      if (connected) return session;
      session.destroy();
      await sleep(2);
    }
  }

  #secret(session: ClientHttp2Session, token: string | undefined, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: path,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        [constants.HTTP2_HEADER_TE]: "trailers",
        ...(token === undefined ? {} : { authorization: token }),
      });
      stream.on("error", reject);
      stream.on("trailers", (headers) =>
        reject(new Error(`${name}: ${headers["grpc-status"]} ${headers["grpc-message"]}`)),
      );
      stream.on("data", (part: Buffer) => {
        // A gRPC message: one byte of flags, four of length. Secrets are far longer than a header alone.
        if (part.length > 100) resolve();
      });
      const message = toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { resourceNames: [name] }));
      const frame = Buffer.alloc(5 + message.length);
      frame.writeUInt32BE(message.length, 1);
      frame.set(message, 5);
      stream.write(frame);
    });
  }
}
