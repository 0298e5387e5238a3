import { createHash } from "node:crypto";
import type { Clock, Logger } from "@signet/shared/deps";
import { type AdminServer, type Answer, json, listen, type Route, type Routes } from "./admin-server.ts";
import type { Bundle } from "./ca/bundle.ts";
import type { CaEndpointView } from "./ca/endpoint-view.ts";
import type { Address } from "./config.ts";
import type { CsiDriver } from "./csi/driver.ts";
import type { Metrics } from "./metrics.ts";
import type { SocketFault } from "./sds/kept-socket.ts";
import { statusOf, viewOf } from "./status.ts";
import type { Workload } from "./svid/workload.ts";

export type { AdminServer } from "./admin-server.ts";

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
  readonly log: Pick<Logger, "error">;
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

/** @throws SignetError `admin-unavailable` when the address cannot be listened on */
export function serveAdmin(sources: AdminSources, address: Address): Promise<AdminServer> {
  return listen(new Map([...telemetryRoutes(sources), ...identityRoutes(sources)]), address, {
    flag: "admin",
    guarded: true,
    log: sources.log,
  });
}

/**
 * Serves health and metrics alone, on an address that others than this machine may reach, by whatever name.
 * @throws SignetError `admin-unavailable` when the address cannot be listened on
 */
export function serveTelemetry(sources: AdminSources, address: Address): Promise<AdminServer> {
  const routes = new Map(telemetryRoutes(sources));
  const metrics = routes.get("/metrics");
  if (metrics !== undefined) routes.set("/metrics", { ...metrics, answer: sparingly(metrics.answer) });
  return listen(routes, address, { flag: "telemetry", guarded: false, log: sources.log });
}

/**
 * Spends at most a tenth of the time on an answer that any pod may ask for: who asks more often gets what was made before.
 */
function sparingly(make: Route["answer"]): Route["answer"] {
  let last: { readonly answer: Promise<Answer>; until: number } | undefined;
  return (request) => {
    const began = performance.now();
    if (last !== undefined && began < last.until) return last.answer;
    const made = { answer: Promise.resolve(make(request)), until: Number.POSITIVE_INFINITY };
    const spare = () => {
      const took = performance.now() - began;
      made.until = began + 10 * took;
    };
    made.answer.then(spare, spare);
    last = made;
    return made.answer;
  };
}

/** What the kubelet and Prometheus need; the rest is for this machine's loopback alone. */
function telemetryRoutes(sources: AdminSources): Routes {
  const { socketFault } = sources;
  let text: Promise<import("./prometheus.ts").PrometheusText> | undefined;
  const prometheus = () => {
    text ??= import("./prometheus.ts").then(({ PrometheusText }) => new PrometheusText(sources));
    return text;
  };
  return new Map<string, Route>([
    [
      "/healthz",
      {
        tellsIdentities: false,
        answer: () => {
          // The kubelet restarts what fails here, which cuts streams that live on: only where that mends something.
          const fault = socketFault();
          return fault?.restartHelps === true ? json({ status: fault.reason }, 503) : json({ status: "ok" });
        },
      },
    ],
    [
      "/readyz",
      {
        tellsIdentities: false,
        answer: () => {
          // A CA that goes away later changes nothing here: what is held goes on being served.
          const reason = notReady(sources);
          return reason === undefined ? json({ ready: true }) : json({ ready: false, reason }, 503);
        },
      },
    ],
    [
      "/metrics",
      {
        tellsIdentities: true,
        answer: async () => {
          const rendered = await prometheus();
          return { body: rendered.render(), contentType: rendered.contentType };
        },
      },
    ],
  ]);
}

/** Routes that say how the agent is doing. None of them shows a key, a token or a certificate. */
function identityRoutes(sources: AdminSources): Routes {
  const tellsIdentities = true;
  return new Map<string, Route>([
    ["/", { tellsIdentities, answer: async () => (await import("./page/page.ts")).pageAnswer() }],
    ["/v1/status", { tellsIdentities, answer: () => json(statusOf(sources, notReady(sources))) }],
    [
      "/v1/workloads",
      {
        tellsIdentities,
        answer: ({ headers }) => unlessKnown(json(Array.from(sources.workloads(), viewOf)), headers["if-none-match"]),
      },
    ],
  ]);
}

/** Why pods cannot get what they need from this agent, undefined when they can. */
function notReady({ bundle, csi, socketFault }: AdminSources): string | undefined {
  const fault = socketFault();
  if (fault !== undefined) return fault.reason;
  if (bundle() === undefined) return "no trust bundle from the CA yet";
  return csi?.unregistered;
}

/** Spares who asks again and again the reading of what has not changed. */
function unlessKnown(answer: Answer, known: string | undefined): Answer {
  const etag = `"${createHash("sha256").update(answer.body).digest("base64url")}"`;
  const headers = { etag };
  return known === etag ? { status: 304, headers, body: "" } : { ...answer, headers };
}
