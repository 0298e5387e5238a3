import type { Socket } from "node:net";
import type { Logger } from "@signet/shared/deps";
import type { Metrics } from "../metrics.ts";
import { GrpcConnection, type Method } from "./connection.ts";
import { defaultLimits, type GrpcLimits } from "./limits.ts";

export interface GrpcServerOptions {
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, Method>;
  readonly limits?: Partial<GrpcLimits> | undefined;
  /** Whether the process can bear the connection that has just come; if not, it is treated as one beyond the bound. */
  readonly hasRoom?: () => boolean;
  /** Counts connections that are open, and those that are closed against their client's will. */
  readonly metrics: Pick<Metrics, "connections" | "connectionRefused">;
  readonly log: Pick<Logger, "debug">;
}

// How exactly deadlines are kept; a quarter of the shortest of them, at most this.
const longestSweepMilliseconds = 1_000;

/**
 * gRPC over connections that are handed in one by one (grpc: `doc/PROTOCOL-HTTP2.md`). What it does with a client that
 * misbehaves, while the others go on being served:
 *
 * | client                                                | what happens                                                    |
 * | ----------------------------------------------------- | --------------------------------------------------------------- |
 * | says nothing, half a preface or frame, opens no call  | its connection is closed after `idleMilliseconds`               |
 * | opens a call and sends no message, or half of one     | the call ends with DEADLINE_EXCEEDED after `messageMilliseconds` |
 * | sends many halves of messages                         | `maxPartialBytes` in all; beyond it the oldest is closed        |
 * | does not read                                         | one message on its way for each call, and it is not read from; closed after `sendMilliseconds` |
 * | floods with PING or SETTINGS and does not read        | closed by HTTP/2 when many answers wait, else by a deadline above |
 * | cancels calls in a row, sends empty frames or headers without an end | closed by HTTP/2                                 |
 * | opens many calls                                      | refused beyond the bounds of its connection                     |
 * | opens many connections, or calls on many              | those that nobody vouches for make room first, the oldest first |
 * | sends no gRPC, a compressed or too long message       | HTTP 405 or 415; UNIMPLEMENTED; RESOURCE_EXHAUSTED              |
 *
 * Nothing is pinged: the kernel tells at once when a process at the other end of a Unix socket is gone.
 */
export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #limits: GrpcLimits;
  readonly #connections = new Set<GrpcConnection>();
  #calls = 0;
  #partialBytes = 0;
  #sweep: NodeJS.Timeout | undefined;
  #stopping = false;
  #onEmpty: () => void = () => undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  /** Takes a connection; it may be closed at once. */
  connect(socket: Socket): void {
    // It may have gone again before anybody came to look at it.
    if (socket.destroyed) return;
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      socket.destroy();
      if (!this.#stopping) this.#options.metrics.connectionRefused(refusal);
      return;
    }
    const connection = new GrpcConnection(socket, {
      methods: this.#options.methods,
      limits: this.#limits,
      makeRoom: (asking) => this.#calls <= this.#limits.maxCalls || this.#evict(asking),
      onCalls: (change) => {
        this.#calls += change;
      },
      onPartial: (bytes) => {
        this.#partialBytes += bytes;
        if (bytes > 0 && this.#partialBytes > this.#limits.maxPartialBytes) this.#cutOldestPartial();
      },
      onClosed: (gone) => this.#forget(gone),
    });
    this.#connections.add(connection);
    this.#options.metrics.connections++;
    this.#sweep ??= this.#startSweep();
  }

  /** Takes no more calls; connections that are still there after `graceMilliseconds` are cut. */
  async stop(graceMilliseconds: number): Promise<void> {
    this.#stopping = true;
    if (this.#connections.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const connection of [...this.#connections]) connection.drain();
    const cut = setTimeout(() => this.cut(), graceMilliseconds);
    await empty;
    clearTimeout(cut);
  }

  /** Ends every connection at once. */
  cut(): void {
    this.#stopping = true;
    for (const connection of [...this.#connections]) connection.cut();
  }

  /** Why there is no room for one more connection, nor can be made. */
  #refusal(): string | undefined {
    if (this.#stopping) return "stopping";
    const isFull = this.#connections.size >= this.#limits.maxConnections;
    const isShort = this.#options.hasRoom?.() === false;
    if ((!isFull && !isShort) || this.#evict(undefined)) return undefined;
    return isFull ? "too-many" : "file-descriptors";
  }

  #startSweep(): NodeJS.Timeout {
    const { idleMilliseconds, messageMilliseconds, sendMilliseconds } = this.#limits;
    const shortest = Math.min(idleMilliseconds, messageMilliseconds, sendMilliseconds);
    const sweep = () => {
      const now = performance.now();
      for (const connection of [...this.#connections]) {
        const reason = connection.overdue(now);
        if (reason !== undefined) this.#refuse(connection, reason);
      }
    };
    return setInterval(sweep, Math.min(longestSweepMilliseconds, shortest / 4)).unref();
  }

  /** Closes the oldest connection for which nobody vouches; gives whether there was one beside `asking`. */
  #evict(asking: GrpcConnection | undefined): boolean {
    for (let left = this.#connections.size; left > 0; left--) {
      const [oldest] = this.#connections;
      if (oldest === undefined) break;
      if (oldest !== asking && !oldest.isTrusted) {
        this.#refuse(oldest, "crowded-out");
        return true;
      }
      // Asked again only after all the others, so that making room stays cheap.
      this.#connections.delete(oldest);
      this.#connections.add(oldest);
    }
    return false;
  }

  // An honest client's message is whole within milliseconds, so that the oldest is none of its.
  #cutOldestPartial(): void {
    let oldest: GrpcConnection | undefined;
    let oldestSince = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections) {
      const since = connection.partialSince ?? Number.POSITIVE_INFINITY;
      if (since < oldestSince) [oldest, oldestSince] = [connection, since];
    }
    if (oldest !== undefined) this.#refuse(oldest, "partial-messages");
  }

  #refuse(connection: GrpcConnection, reason: string): void {
    this.#options.metrics.connectionRefused(reason);
    this.#options.log.debug({ reason }, "a connection was closed");
    this.#forget(connection);
    connection.cut();
  }

  #forget(connection: GrpcConnection): void {
    if (this.#connections.delete(connection)) this.#options.metrics.connections--;
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    this.#onEmpty();
  }
}
