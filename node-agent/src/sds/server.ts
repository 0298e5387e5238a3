import type { Socket } from "node:net";
import type { LogFields, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import type { Deps } from "../deps.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { Method } from "../grpc/connection.ts";
import type { GrpcLimits } from "../grpc/limits.ts";
import { GrpcServer } from "../grpc/server.ts";
import { type CallEnd, Status } from "../grpc/status.ts";
import type { HeaderSource } from "../identity/token.ts";
import { DeltaStream } from "./delta.ts";
import { fetchSecrets } from "./fetch.ts";
import { limitedLog } from "./limited-log.ts";
import { classifier, type ResourceNames } from "./names.ts";
import { sdsPath } from "./service.ts";
import { drained, streamEnd } from "./status.ts";
import { SdsStream } from "./stream.ts";
import type { SdsOptions, SdsStreamOptions, SecretHold } from "./stream-options.ts";
import type { Validator } from "./validator.ts";

// Of one token; no Envoy has as many. What one pod opens beyond it makes room for others when there is too little.
const maxTrustedStreams = 64;

/** Who asks on a stream. */
export interface Principal {
  readonly spiffeId: SpiffeId;
  /** For the log. */
  readonly who: LogFields;
  /** Whose streams are counted together: a hash of the token, which nobody else has. */
  readonly key: string;
  /** Whether there is more than the client's own word for it by now. */
  readonly isTrusted: () => boolean;
  /** Opens the stream's hold on the principal's key and chain. May throw SignetError. */
  openSvid(onChange: () => void, onEnd: (error: SignetError) => void): SecretHold;
}

export interface SdsServerOptions {
  readonly names: ResourceNames;
  /** Form of bundles for an Envoy that does not ask for one. */
  readonly validator: Validator;
  /**
   * Finds out who asks, by the stream's headers or by the socket that this server is for. May throw SignetError.
   * @param connection the same for all streams of one connection, and for no other
   */
  readonly identify: (headers: HeaderSource, connection: object) => Principal | Promise<Principal>;
  readonly openBundle: (onChange: () => void) => SecretHold;
  readonly limits?: Partial<GrpcLimits>;
  /** Whether there are file descriptors for the connection that has just come. */
  readonly hasRoom: () => boolean;
  readonly deps: Pick<Deps, "log" | "metrics">;
}

/** What takes the requests of one call. */
interface Reader {
  /** May throw SignetError, which ends the call. */
  receive(message: Uint8Array): void;
  close(): void;
  /** Takes the word that nothing more comes; without it that ends the call. */
  halfClosed?(): void;
}

type MakeReader = (options: SdsOptions, call: ServerCall, fail: (caught: unknown) => void) => Reader;

/** SDS over connections that are handed in one by one, so that each can come from a socket of its own meaning. */
export class SdsServer {
  readonly #options: SdsServerOptions;
  readonly #deps: Pick<Deps, "log" | "metrics">;
  readonly #server: GrpcServer;
  readonly #open = new Map<ServerCall, (end: CallEnd) => void>();
  /** Streams that are open, by the key of their principal. */
  readonly #streams = new Map<string, number>();

  constructor(options: SdsServerOptions) {
    const { metrics } = options.deps;
    const log: Logger = limitedLog(options.deps.log);
    this.#options = options;
    this.#deps = { log, metrics };
    const method =
      (make: MakeReader): Method =>
      (call) =>
        this.#serve(call, make);
    this.#server = new GrpcServer({
      methods: new Map([
        [sdsPath.stream, method((sds, call, fail) => streamReader(new SdsStream(withSend(sds, call, fail))))],
        [sdsPath.delta, method((sds, call, fail) => streamReader(new DeltaStream(withSend(sds, call, fail))))],
        [sdsPath.fetch, method(fetchReader)],
      ]),
      limits: options.limits,
      hasRoom: options.hasRoom,
      metrics,
      log,
    });
  }

  connect(socket: Socket): void {
    this.#server.connect(socket);
  }

  /** Ends every stream, then every connection; those that do not leave within `graceMilliseconds` are cut. */
  async stop(graceMilliseconds: number): Promise<void> {
    for (const end of [...this.#open.values()]) end(drained);
    await this.#server.stop(graceMilliseconds);
  }

  #serve(call: ServerCall, makeReader: MakeReader): void {
    const { log, metrics } = this.#deps;
    let reader: Reader | undefined;
    let release = () => {};
    const leave = () => {
      if (!this.#open.delete(call)) return;
      metrics.streams--;
      release();
      reader?.close();
    };
    const end = (how: CallEnd) => {
      if (!this.#open.has(call)) return;
      leave();
      call.end(how);
    };
    const fail = (caught: unknown) => {
      const error = asSignetError(caught, "internal");
      if (!this.#open.has(call) && error.code !== "internal") return;
      if (error.code === "internal") log.error({ reason: error.stack ?? error.message }, "stream failed");
      else log.debug({ code: error.code, reason: error.message }, "stream refused");
      if (this.#open.has(call)) metrics.refused(error.code);
      end(streamEnd(error));
    };
    const begin = (principal: Principal) => {
      if (!this.#open.has(call)) return;
      const { key, isTrusted } = principal;
      release = this.#count(key);
      const isAmongFirst = (this.#streams.get(key) ?? 0) <= maxTrustedStreams;
      call.isTrusted = () => isAmongFirst && isTrusted();
      reader = makeReader(this.#sdsOptions(principal, fail), call, fail);
      const { receive, halfClosed = () => end(ok) } = reader;
      call.read((message) => attempt(() => receive(message), fail), halfClosed);
    };

    this.#open.set(call, end);
    metrics.streams++;
    call.onClosed = leave;
    try {
      const principal = this.#options.identify(call.headers, call.connection);
      // Nothing is read before it is known who asks: what the client sends meanwhile waits at its end.
      if (principal instanceof Promise) principal.then(begin).catch(fail);
      else begin(principal);
    } catch (error) {
      fail(error);
    }
  }

  #count(key: string): () => void {
    this.#streams.set(key, (this.#streams.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#streams.get(key) ?? 1) - 1;
      if (left > 0) this.#streams.set(key, left);
      else this.#streams.delete(key);
    };
  }

  #sdsOptions(principal: Principal, fail: (caught: unknown) => void): SdsOptions {
    const { names, openBundle, validator } = this.#options;
    const told = (onChange: () => void) => () => attempt(onChange, fail);
    return {
      classify: classifier(names, principal.spiffeId),
      validator,
      everything: [names.svid, names.bundle],
      open: (kind, onChange) =>
        kind === "svid" ? principal.openSvid(told(onChange), fail) : openBundle(told(onChange)),
      deps: this.#deps,
      who: principal.who,
    };
  }
}

const ok: CallEnd = { code: Status.OK, message: "" };

function withSend(options: SdsOptions, call: ServerCall, fail: (caught: unknown) => void): SdsStreamOptions {
  return { ...options, send: (message, done) => call.send(message, () => attempt(done, fail)) };
}

/** Runs what belongs to one stream, so that a fault in it ends that stream and disturbs no other. */
function attempt(step: () => void, fail: (caught: unknown) => void): void {
  try {
    step();
  } catch (error) {
    fail(error);
  }
}

function streamReader(stream: SdsStream | DeltaStream): Reader {
  return { receive: (message) => stream.receive(message), close: () => stream.close() };
}

function fetchReader(options: SdsOptions, call: ServerCall, fail: (caught: unknown) => void): Reader {
  const gone = new AbortController();
  let asked = false;
  return {
    receive: (message) => {
      if (asked) throw new SignetError("malformed-request", "FetchSecrets takes one request");
      asked = true;
      fetchSecrets(options, message, gone.signal).then((answer) => {
        call.send(answer, () => undefined);
        call.end(ok);
      }, fail);
    },
    halfClosed: () => {
      if (!asked) fail(new SignetError("malformed-request", "FetchSecrets takes a request"));
    },
    close: () => gone.abort(new SignetError("not-found", "the call is over")),
  };
}
