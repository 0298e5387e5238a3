import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, isIP, type Socket } from "node:net";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";
import type { Address } from "./config.ts";

export interface Answer {
  readonly status?: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Route {
  /** Whether it tells of identities, which is for people and programs that asked this very machine. */
  readonly tellsIdentities: boolean;
  readonly answer: (request: IncomingMessage) => Answer | Promise<Answer>;
}

export type Routes = ReadonlyMap<string, Route>;

export interface AdminServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly flag: "admin" | "telemetry";
  /** Whether routes that tell of identities look at the name by which they are asked; see {@link isNamedHere}. */
  readonly guarded: boolean;
  readonly log: Pick<Logger, "error">;
}

// For the kubelet, some scrapers and some open pages; more only takes file descriptors from Envoys.
const maxConnections = 64;
const timeouts = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 2_500 };
// For a client that does not read, whose answer waits in memory.
const idleMilliseconds = 30_000;
// Whatever a page of another origin may do with an answer, it is not allowed to.
const headersOfAll = {
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export const json = (value: unknown, status = 200): Answer => ({ status, body: `${JSON.stringify(value)}\n` });

/**
 * Serves fixed GET routes, on node:http alone: an adapter to fetch's Request and Response would load the whole of fetch,
 * 7 MiB and 30 ms at start.
 * @throws SignetError `admin-unavailable` when the address cannot be listened on
 */
export function listen(
  routes: Routes,
  { host, port }: Address,
  { flag, guarded, log }: ListenOptions,
): Promise<AdminServer> {
  const server = createServer(timeouts, (request, response) => {
    const send = ({ status = 200, contentType = "application/json", headers, body }: Answer) => {
      response.writeHead(status, { ...headersOfAll, "content-type": contentType, ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    request.resume();
    const answer = (): Answer | Promise<Answer> => {
      const route = routes.get((request.url ?? "/").replace(/\?.*$/s, ""));
      if (route === undefined) return json({ error: "not found", routes: [...routes.keys()] }, 404);
      if (request.method !== "GET" && request.method !== "HEAD") {
        return { ...json({ error: "method not allowed" }, 405), headers: { allow: "GET, HEAD" } };
      }
      if (guarded && route.tellsIdentities && !isNamedHere(request, host)) {
        return json({ error: `not for this host name; ask for localhost or ${host}` }, 403);
      }
      return route.answer(request);
    };
    new Promise<Answer>((resolve) => resolve(answer())).then(send, (error: unknown) => {
      log.error({ reason: error instanceof Error ? error.stack : String(error) }, "an admin route failed");
      send(json({ error: "internal error" }, 500));
    });
  });
  server.timeout = idleMilliseconds;
  boundConnections(server);
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "is in use by another process" : `is not possible (${cause.code})`;
      const help = `choose another one with --${flag} HOST:PORT, or --${flag} off`;
      reject(new SignetError("admin-unavailable", `${flag} address ${host}:${port} ${reason}; ${help}`, { cause }));
    });
    server.listen(port, host, () => {
      const address = server.address() as AddressInfo;
      const shownHost = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve({
        url: `http://${shownHost}:${address.port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}

/**
 * Whether a request names this machine as people do who mean it: by a loopback name, by the address it came to, or as
 * configured. A web page of anywhere can let its own name lead to 127.0.0.1 (DNS rebinding) and would then read along in
 * its visitor's browser; but it cannot take the name away from the request.
 */
function isNamedHere({ headers, socket }: IncomingMessage, configured: string): boolean {
  const named = (headers.host ?? "").toLowerCase();
  const host = named.replace(/:\d{1,5}$/, "").replace(/^\[(.*)\]$/, "$1");
  if (host === configured.toLowerCase() || isLoopbackHost(isIP(host) === 6 ? `[${host}]` : host)) return true;
  return isIP(host) !== 0 && host === socket.localAddress?.replace(/^::ffff:(?=\d+\.)/, "");
}

/**
 * When there are too many connections, one goes: the oldest of the address that has the most. So nobody who opens
 * thousands of them keeps out the kubelet, whose probe has an address of its own and needs a moment.
 */
function boundConnections(server: Server): void {
  const byAddress = new Map<string, Set<Socket>>();
  let count = 0;
  server.on("connection", (socket) => {
    const address = socket.remoteAddress ?? "";
    const sockets = byAddress.get(address) ?? new Set();
    byAddress.set(address, sockets.add(socket));
    count++;
    socket.once("close", () => {
      count--;
      sockets.delete(socket);
      if (sockets.size === 0) byAddress.delete(address);
    });
    if (count <= maxConnections) return;
    let most = sockets;
    for (const others of byAddress.values()) if (others.size > most.size) most = others;
    const [oldest] = most;
    oldest?.destroy();
  });
}
