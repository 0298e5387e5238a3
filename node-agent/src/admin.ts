import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { SignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { Metrics } from "./metrics.ts";
import type { WorkloadView } from "./workload-view.ts";

export interface AdminSources {
  readonly metrics: Metrics;
  readonly workloads: () => readonly WorkloadView[];
  readonly isListening: () => boolean;
  readonly hasBundle: () => boolean;
}

/** The routes that say how the agent is doing. None of them shows a key, a token or a certificate. */
export function createAdmin({ metrics, workloads, isListening, hasBundle }: AdminSources): Hono {
  let text: Promise<import("./prometheus.ts").PrometheusText> | undefined;
  const prometheus = () => {
    text ??= import("./prometheus.ts").then(({ PrometheusText }) => new PrometheusText(metrics, workloads));
    return text;
  };
  return new Hono()
    .get("/healthz", (c) =>
      isListening() ? c.json({ status: "ok" }) : c.json({ status: "not listening on the socket" }, 503),
    )
    .get("/readyz", (c) => {
      // A CA that goes away later changes nothing here: what is held goes on being served.
      if (!isListening()) return c.json({ ready: false, reason: "the socket is not listening" }, 503);
      if (!hasBundle()) return c.json({ ready: false, reason: "no trust bundle from the CA yet" }, 503);
      return c.json({ ready: true });
    })
    .get("/metrics", async (c) => {
      const rendered = await prometheus();
      return c.body(await rendered.render(), 200, { "content-type": rendered.contentType });
    })
    .get("/v1/workloads", (c) => c.json(workloads().map(({ expiresAt: _, ...view }) => view)));
}

export interface AdminServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws SignetError `admin-unavailable` when the address cannot be listened on */
export function serveAdmin(app: Hono, { host, port }: { host: string; port: number }): Promise<AdminServer> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (address: AddressInfo) => {
      const shownHost = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve({
        url: `http://${shownHost}:${address.port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            if ("closeAllConnections" in server) server.closeAllConnections();
          }),
      });
    });
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "is in use by another process" : `is not possible (${cause.code})`;
      const help = "choose another one with --admin HOST:PORT, or --admin off";
      reject(new SignetError("admin-unavailable", `admin address ${host}:${port} ${reason}; ${help}`, { cause }));
    });
  });
}
