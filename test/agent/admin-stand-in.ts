import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { StatusView } from "@signet/node-agent/status-view";
import type { WorkloadView } from "@signet/node-agent/workload-view";

const closing: (() => void)[] = [];

/** Takes the oldest away, as an agent that stops. */
export const stopOne = (): void => closing.shift()?.();
export function stopAll(): void {
  while (closing.length > 0) stopOne();
}

const now = Date.UTC(2026, 10, 25, 3) / 1_000;
export const iso = (away: number) => new Date((now + away) * 1_000).toISOString();

export type Shown = Pick<
  StatusView,
  | "version"
  | "startedAt"
  | "now"
  | "trustDomain"
  | "nodeName"
  | "socket"
  | "notReady"
  | "csi"
  | "streams"
  | "counters"
  | "ca"
  | "bundle"
>;

export const well: Shown = {
  version: "1.2.3",
  startedAt: iso(-3 * 3_600),
  now: iso(0),
  trustDomain: "cluster.local",
  nodeName: "node-1",
  socket: "/var/run/sds/uds_path",
  notReady: null,
  csi: { registered: true, reason: null, volumes: 2, withoutToken: 0 },
  streams: 7,
  counters: {
    ...{ pushes: 9, acks: 9, nacks: 0, unknownNames: 0, bundleFailures: 0, renewals: {} },
    ...{ issuance: { issued: 8 }, refusedStreams: {}, refusedConnections: {}, clockJumps: { forward: 0, back: 0 } },
  },
  ca: [
    {
      url: "https://a.example.com/",
      state: "healthy",
      lastSuccessAt: iso(-12),
      lastFailureAt: null,
      lastError: null,
      retryAt: null,
    },
    {
      url: "https://b.example.com/",
      state: "untried",
      lastSuccessAt: null,
      lastFailureAt: null,
      lastError: null,
      retryAt: null,
    },
  ],
  bundle: {
    sequence: 4,
    learnedAt: iso(-7_200),
    refreshHintSeconds: 300,
    roots: [{ subject: "CN=root, O=Example", notAfter: iso(300 * 86_400), sha256: "ab".repeat(32) }],
  },
};

let made = 0;
export function workload(more: Partial<WorkloadView> = {}): Partial<WorkloadView> {
  made++;
  return {
    spiffeId: "spiffe://cluster.local/ns/shop/sa/cart",
    namespace: "shop",
    serviceAccount: "cart",
    podName: `cart-${made}`,
    podUid: `uid-${made}`,
    state: "held",
    lastIssuedAt: iso(-600),
    notBefore: iso(-660),
    notAfter: iso(3_000),
    renewAt: iso(1_200),
    streams: 2,
    lastError: null,
    ...more,
  };
}

export const caBusy = { code: "ca-busy" as const, message: "the CA cannot answer now: HTTP status 503" };

/** Something that answers as an agent does. */
export async function serve(status: unknown = well, workloads: unknown = []): Promise<string> {
  const server: Server = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/v1/status" ? status : workloads));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close().closeAllConnections());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const troubled: Shown = {
  ...well,
  counters: {
    ...well.counters,
    nacks: 1,
    issuance: { "ca-unreachable": 1, issued: 8, "ca-busy": 11 },
    refusedStreams: { "token-expired": 2 },
    refusedConnections: { "too-many": 1 },
    clockJumps: { forward: 1, back: 2 },
  },
  ca: [
    ...well.ca.slice(0, 1),
    {
      url: "https://b.example.com/",
      state: "failing",
      lastSuccessAt: iso(-600),
      lastFailureAt: iso(-1),
      lastError: caBusy,
      retryAt: iso(4),
    },
  ],
};
export const inTrouble = [
  workload({ podName: "pod-ok" }),
  workload({ podName: "pod-idle", streams: 0, notAfter: iso(-120), renewAt: iso(-600) }),
  workload({ podName: "pod-try", renewAt: iso(-5), lastError: caBusy }),
  workload({
    podName: "pod-no",
    state: "refused",
    lastError: { code: "token-not-accepted", message: "the CA refuses" },
  }),
  workload({ podName: "pod-wait", state: "tokenless", streams: 0 }),
  workload({ podName: "pod-late", renewAt: iso(-31), notAfter: iso(900) }),
  workload({ podName: "pod-gone", renewAt: iso(-900), notAfter: iso(-60), lastError: caBusy }),
];

export function bundleOf(rootEnds: number): NonNullable<Shown["bundle"]> {
  return {
    sequence: 1,
    learnedAt: iso(-1),
    refreshHintSeconds: 60,
    roots: [{ subject: "CN=r", notAfter: iso(rootEnds), sha256: "" }],
  };
}

export async function serveText(text: string, code = 200, length = text.length): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(code, { "content-length": length }).write(text);
    response.socket?.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close().closeAllConnections());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
