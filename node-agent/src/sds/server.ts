import type { Socket } from "node:net";
import type { ServerDuplexStream } from "@grpc/grpc-js";
// The index loads the whole client too: 35 ms of every start. Versions are pinned, and these paths are in the package.
import { Status } from "@grpc/grpc-js/build/src/constants.js";
import { Server } from "@grpc/grpc-js/build/src/server.js";
import { ServerCredentials } from "@grpc/grpc-js/build/src/server-credentials.js";
import type { LogFields } from "@signet/shared/deps";
import { asSignetError, type SignetError } from "@signet/shared/errors";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import type { Deps } from "../deps.ts";
import type { HeaderSource } from "../identity/token.ts";
import { classifier, type ResourceNames } from "./names.ts";
import { secretDiscoveryService } from "./service.ts";
import { drained, type StreamEnd, streamEnd } from "./status.ts";
import { SdsStream } from "./stream.ts";
import type { SdsStreamOptions, SecretHold } from "./stream-options.ts";
import type { Validator } from "./validator.ts";

type Call = ServerDuplexStream<Buffer, Buffer>;

// One Envoy opens a stream for each secret; google_grpc puts those of a whole process on one connection.
const defaultMaxStreams = 4_096;

const options = {
  "grpc.enable_channelz": 0,
  // Envoy's first request lists its extensions, some tens of KiB.
  "grpc.max_receive_message_length": 256 * 1024,
  // Finds peers that are gone without a word.
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
} as const;

/** Who asks on a stream. */
export interface Principal {
  readonly spiffeId: SpiffeId;
  /** For the log. */
  readonly who: LogFields;
  /** Opens the stream's hold on the principal's key and chain. May throw SignetError. */
  openSvid(onChange: () => void, onEnd: (error: SignetError) => void): SecretHold;
}

export interface SdsServerOptions {
  readonly names: ResourceNames;
  /** Form of bundles for an Envoy that does not ask for one. */
  readonly validator: Validator;
  /** Finds out who asks, by the stream's headers or by the socket that this server is for. May throw SignetError. */
  readonly identify: (headers: HeaderSource) => Principal | Promise<Principal>;
  readonly openBundle: (onChange: () => void) => SecretHold;
  /** Streams that one connection may have at once. */
  readonly maxStreams?: number;
  readonly deps: Pick<Deps, "log" | "metrics">;
}

/** SDS over connections that are handed in one by one, so that each can come from a socket of its own meaning. */
export class SdsServer {
  readonly #options: SdsServerOptions;
  readonly #server: Server;
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;
  readonly #open = new Map<Call, (end: StreamEnd) => void>();

  constructor(serverOptions: SdsServerOptions) {
    this.#options = serverOptions;
    const { maxStreams = defaultMaxStreams } = serverOptions;
    this.#server = new Server({ ...options, "grpc.max_concurrent_streams": maxStreams });
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#server.addService(secretDiscoveryService, {
      StreamSecrets: (call: Call) => this.#serve(call),
      DeltaSecrets: (call: Call) => call.emit("error", unimplemented),
      FetchSecrets: (_call: unknown, answer: (end: StreamEnd) => void) => answer(unimplemented),
    });
  }

  connect(socket: Socket): void {
    this.#injector.injectConnection(socket);
  }

  /** Ends every stream, then every connection; those that do not leave within `graceMilliseconds` are cut. */
  async stop(graceMilliseconds: number): Promise<void> {
    for (const end of [...this.#open.values()]) end(drained);
    const cut = setTimeout(() => this.#server.forceShutdown(), graceMilliseconds);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(cut);
  }

  #serve(call: Call): void {
    const { deps } = this.#options;
    let stream: SdsStream | undefined;
    const leave = () => {
      stream?.close();
      if (this.#open.delete(call)) deps.metrics.streams--;
    };
    const end = (how: StreamEnd) => {
      if (!this.#open.has(call)) return;
      leave();
      call.emit("error", how);
    };
    const fail = (caught: unknown) => {
      const error = asSignetError(caught, "internal");
      if (error.code === "internal") deps.log.error({ reason: error.stack ?? error.message }, "stream failed");
      else deps.log.debug({ code: error.code, reason: error.message }, "stream refused");
      if (this.#open.has(call)) deps.metrics.refused(error.code);
      end(streamEnd(error));
    };

    this.#open.set(call, end);
    deps.metrics.streams++;
    call.on("cancelled", leave);
    call.on("error", leave);
    call.on("close", leave);
    call.on("end", () => {
      leave();
      call.end();
    });
    const begin = (principal: Principal) => {
      if (!this.#open.has(call)) return;
      const reader = new SdsStream(this.#streamOptions(call, principal, fail));
      stream = reader;
      call.on("data", (message: Buffer) => {
        try {
          reader.receive(message);
        } catch (error) {
          fail(error);
        }
      });
    };
    try {
      const principal = this.#options.identify(call.metadata as HeaderSource);
      // Nothing is read before it is known who asks: what the client sends meanwhile waits at its end.
      if (principal instanceof Promise) principal.then(begin).catch(fail);
      else begin(principal);
    } catch (error) {
      fail(error);
    }
  }

  #streamOptions(call: Call, principal: Principal, fail: (error: SignetError) => void): SdsStreamOptions {
    const { deps, names, openBundle, validator } = this.#options;
    return {
      classify: classifier(names, principal.spiffeId),
      validator,
      everything: [names.svid, names.bundle],
      open: (kind, onChange) => (kind === "svid" ? principal.openSvid(onChange, fail) : openBundle(onChange)),
      send: (message, done) => {
        call.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength), done);
      },
      deps,
      who: principal.who,
    };
  }
}

const unimplemented: StreamEnd = {
  code: Status.UNIMPLEMENTED,
  details: "use StreamSecrets (api_type: GRPC in Envoy's api_config_source)",
};
