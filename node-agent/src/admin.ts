import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import type { Bundle } from "./ca/bundle.ts";
import type { CaEndpointView } from "./ca/endpoint-view.ts";
import type { Address } from "./config.ts";
import type { CsiDriver } from "./csi/driver.ts";
import type { Metrics } from "./metrics.ts";
import type { SocketFault } from "./sds/kept-socket.ts";
import { statusOf } from "./status.ts";
import type { Workload } from "./svid/workload.ts";
import { viewOf } from "./workload-view.ts";

export interface AdminSources {
  readonly metrics: Metrics;
  readonly workloads: () => Iterable<Workload>;
  /** Why clients cannot connect at the moment of asking, if so. */
  readonly socketFault: () => SocketFault | undefined;
  /** Undefined before the first one was learned. */
  readonly bundle: () => Bundle | undefined;
  readonly caEndpoints: () => readonly CaEndpointView[];
  /** Undefined where the agent is no CSI driver. */
  readonly csi: Pick<CsiDriver, "unregistered" | "volumes"> | undefined;
  /** Wall-clock time. */
  readonly now: Clock;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly trustDomain: string;
  /** Path, undefined where there is none for all pods. */
  readonly socket: string | undefined;
  /** Name of the node in its cluster, undefined where the agent was not told. */
  readonly nodeName: string | undefined;
}

/** What the kubelet and Prometheus need; the rest is for this machine's loopback alone. */
const telemetryPaths = ["/healthz", "/readyz", "/metrics"];

interface Answer {
  readonly status?: number;
  readonly contentType?: string;
  readonly body: string;
}

type Routes = ReadonlyMap<string, () => Answer | Promise<Answer>>;

const json = (value: unknown, status = 200): Answer => ({ status, body: `${JSON.stringify(value)}\n` });

/** The routes that say how the agent is doing. None of them shows a key, a token or a certificate. */
function createRoutes(sources: AdminSources): Routes {
  const { socketFault, workloads } = sources;
  let text: Promise<import("./prometheus.ts").PrometheusText> | undefined;
  const prometheus = () => {
    text ??= import("./prometheus.ts").then(({ PrometheusText }) => new PrometheusText(sources));
    return text;
  };
  return new Map<string, () => Answer | Promise<Answer>>([
    [
      "/healthz",
      () => {
        // The kubelet restarts what fails here, which cuts streams that live on: only where that mends something.
        const fault = socketFault();
        return fault?.restartHelps === true ? json({ status: fault.reason }, 503) : json({ status: "ok" });
      },
    ],
    [
      "/readyz",
      () => {
        // A CA that goes away later changes nothing here: what is held goes on being served.
        const reason = notReady(sources);
        if (reason !== undefined) return json({ ready: false, reason }, 503);
        return json({ ready: true });
      },
    ],
    [
      "/metrics",
      async () => {
        const rendered = await prometheus();
        return { body: await rendered.render(), contentType: rendered.contentType };
      },
    ],
    ["/v1/status", () => json(statusOf(sources, notReady(sources)))],
    ["/v1/workloads", () => json(Array.from(workloads(), viewOf))],
  ]);
}

/** Why pods cannot get what they need from this agent, undefined when they can. */
function notReady({ bundle, csi, socketFault }: AdminSources): string | undefined {
  const fault = socketFault();
  if (fault !== undefined) return fault.reason;
  if (bundle() === undefined) return "no trust bundle from the CA yet";
  return csi?.unregistered;
}

/**
 * An HTTP server of fixed GET routes, on node:http alone: an adapter to fetch's Request and Response would load the whole
 * of fetch, 7 MiB and 30 ms at start.
 */
function createAdminServer(routes: Routes): Server {
  return createServer((request, response) => {
    const { method, url = "/" } = request;
    const path = url.replace(/\?.*$/s, "");
    const send = ({ status = 200, contentType = "application/json", body }: Answer, headers = {}) => {
      response.writeHead(status, { "content-type": contentType, "cache-control": "no-store", ...headers });
      response.end(method === "HEAD" ? undefined : body);
    };
    request.resume();
    const route = routes.get(path);
    if (route === undefined) return send(json({ error: "not found", routes: [...routes.keys()] }, 404));
    if (method !== "GET" && method !== "HEAD") {
      return send(json({ error: "method not allowed" }, 405), { allow: "GET, HEAD" });
    }
    Promise.resolve(route()).then(send, () => send(json({ error: "internal error" }, 500)));
  });
}

export interface AdminServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws SignetError `admin-unavailable` when the address cannot be listened on */
export function serveAdmin(sources: AdminSources, address: Address): Promise<AdminServer> {
  return listen(createRoutes(sources), address, "admin");
}

/**
 * Serves health and metrics alone, on an address that others than this machine may reach.
 * @throws SignetError `admin-unavailable` when the address cannot be listened on
 */
export function serveTelemetry(sources: AdminSources, address: Address): Promise<AdminServer> {
  const routes = [...createRoutes(sources)].filter(([path]) => telemetryPaths.includes(path));
  return listen(new Map(routes), address, "telemetry");
}

function listen(routes: Routes, { host, port }: Address, flag: "admin" | "telemetry"): Promise<AdminServer> {
  const server = createAdminServer(routes);
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
