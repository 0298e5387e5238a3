import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { maxTokenCharacters } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { guardSession } from "./http2-sessions.ts";
import type { TlsContext, TlsTaker } from "./server-certificate.ts";

/** Takes requests of both versions of HTTP; the later one's come in the form of the earlier. */
export type Listener = (
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
) => unknown;

export interface HttpServerOptions {
  readonly listener: Listener;
  /** Without it HTTP/1.1 alone, in plain. */
  readonly tls?: TlsContext | undefined;
  readonly limits?: ServerLimits | undefined;
  /** A connection or a stream was ended for what its client did. @param code what Node or OpenSSL calls it */
  readonly onAbuse?: (reason: Abuse, code?: string) => void;
}
export const abuses = ["handshake", "http2-flood", "slow-stream", "too-many-connections"] as const;
export type Abuse = (typeof abuses)[number];

/** A server that is not listening yet. */
export interface HttpServer extends TlsTaker {
  /**
   * @returns the port
   * @throws SignetError `config-invalid` where the address cannot be had
   */
  listen(host: string, port: number): Promise<number>;
  /** How many are open. */
  readonly connections: number;
  /** Takes no more connections and lets go of those without a request; settles when all are closed. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

// Two tokens of the longest that are looked at, and room for the rest.
export const maxHeaderBytes = 2 * maxTokenCharacters + 8_192;

const usualLimits = {
  // A slow client must not hold a connection for long: bodies are a few KiB.
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  // One with TLS and HTTP/2 takes 80 KiB: these fit into the memory that the chart allows.
  maxConnections: 1_000,
};
export type ServerLimits = Partial<typeof usualLimits>;

const http2Limits = {
  settings: {
    maxConcurrentStreams: 128,
    maxHeaderListSize: maxHeaderBytes,
    enablePush: false,
    // No WebSockets over HTTP/2.
    enableConnectProtocol: false,
  },
  // MiB: the largest batch and room for another.
  maxSessionMemory: 16,
  maxOutstandingPings: 4,
  maxSettings: 16,
  maxSessionInvalidFrames: 32,
  maxSessionRejectedStreams: 32,
};

/** The server of the API: HTTP/2 and HTTP/1.1 over TLS, by ALPN, or HTTP/1.1 alone without. */
export function createHttpServer({ listener, tls, limits, onAbuse = () => {} }: HttpServerOptions): HttpServer {
  const { requestTimeoutMs, idleTimeoutMs, maxConnections } = { ...usualLimits, ...limits };
  const http1 = {
    ...{
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
    },
    ...{ keepAliveTimeout: idleTimeoutMs, maxHeaderSize: maxHeaderBytes },
  };
  const server =
    tls === undefined
      ? createServer(http1, listener)
      : createSecureServer({ ...http2Limits, ...tls, allowHTTP1: true, handshakeTimeout: requestTimeoutMs }, listener);
  // The server of HTTP/2 takes those of HTTP/1.1 as members only, and all of them before it listens.
  Object.assign(server, http1, { maxConnections, timeout: idleTimeoutMs });
  const sockets = new Set<Socket>();
  // Connections of HTTP/1.1 before their first request: to node:http they are not idle.
  const unused = new Set<Socket>();
  const awaitRequest = (socket: Socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  };
  const sessions = new Set<ServerHttp2Session>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    if (tls === undefined) awaitRequest(socket);
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol !== "h2") awaitRequest(socket);
  });
  server.on("request", (incoming: IncomingMessage) => {
    if (incoming.httpVersionMajor === 1) unused.delete(incoming.socket);
  });
  server.on("drop", () => onAbuse("too-many-connections"));
  server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => onAbuse("handshake", code));
  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    // The app gives up a request by itself before this, and says so.
    guardSession(session, { streamTimeoutMs: 3 * requestTimeoutMs, onAbuse });
  });
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", (cause: NodeJS.ErrnoException) => reject(cannotListen(cause)));
        server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
      }),
    get connections() {
      return sockets.size;
    },
    setSecureContext: (context) => (server as Http2SecureServer).setSecureContext(context),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // GOAWAY: streams that are open are answered, new ones go elsewhere (RFC 9113 §6.8). Node 20 leaves this to us.
        for (const session of sessions) session.close();
        for (const socket of unused) socket.destroy();
      }),
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

const listenFaults: Readonly<Record<string, string>> = {
  EADDRINUSE: "something else listens there already",
  EADDRNOTAVAIL: "no interface of this machine has that address",
  EACCES: "ports below 1024 need the capability NET_BIND_SERVICE",
  ENOTFOUND: "that name has no address",
};

function cannotListen(cause: NodeJS.ErrnoException): SignetError {
  const what = listenFaults[cause.code ?? ""] ?? cause.message;
  return new SignetError("config-invalid", what, { cause });
}
