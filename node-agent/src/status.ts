import { createHash, X509Certificate } from "node:crypto";
import type { AdminSources } from "./admin.ts";
import type { Authority, Bundle } from "./ca/bundle.ts";
import type { CaEndpointView } from "./ca/endpoint-view.ts";
import type { Histogram } from "./metrics.ts";
import type { CaEndpointStatus, DurationsView, RootView, StatusView } from "./status-view.ts";
import { renewalWindow } from "./svid/rotation.ts";
import type { Workload } from "./svid/workload.ts";
import { version } from "./version.ts";
import type { WorkloadView } from "./workload-view.ts";

/** @param notReady why the agent does not do its work (yet) */
export function statusOf(sources: AdminSources, notReady: string | undefined): StatusView {
  const { bundle, caEndpoints, csi, metrics, nodeName, now, socket, startedAt, trustDomain, workloads } = sources;
  const known = bundle();
  return {
    version,
    nodeVersion: process.versions.node,
    startedAt: iso(startedAt),
    now: iso(now()),
    trustDomain,
    nodeName: nodeName ?? null,
    socket: socket ?? null,
    notReady: notReady ?? null,
    csi:
      csi === undefined
        ? null
        : {
            registered: csi.unregistered === undefined,
            reason: csi.unregistered ?? null,
            volumes: csi.volumes.size,
            withoutToken: csi.volumes.withoutToken,
          },
    connections: metrics.connections,
    streams: metrics.streams,
    streamsByMethod: metrics.openStreams,
    workloads: [...workloads()].length,
    renewalWindow,
    ca: caEndpoints().map(viewOfEndpoint),
    bundle: known === undefined ? null : viewOfBundle(known),
    took: {
      ca: durationsOf(metrics.caSeconds),
      push: durationsOf(metrics.pushSeconds),
      ack: durationsOf(metrics.ackSeconds),
    },
    counters: {
      pushes: metrics.pushes,
      acks: metrics.acks,
      nacks: metrics.nacks,
      unknownNames: metrics.unknownNames,
      bundleFailures: metrics.bundleFailures,
      refusedStreams: Object.fromEntries(metrics.refusedStreams),
      refusedConnections: Object.fromEntries(metrics.refusedConnections),
      clockJumps: metrics.clockJumps,
      renewals: Object.fromEntries(metrics.renewals),
      issuance: Object.fromEntries(metrics.issuance),
    },
  };
}

function viewOfEndpoint(endpoint: CaEndpointView): CaEndpointStatus {
  const { lastError, lastFailureAt, lastSuccessAt, retryAt, state, url } = endpoint;
  return {
    url,
    state,
    lastSuccessAt: isoOrNull(lastSuccessAt),
    lastFailureAt: isoOrNull(lastFailureAt),
    lastError: lastError ?? null,
    retryAt: isoOrNull(retryAt),
  };
}

function viewOfBundle({ learnedAt, refreshHintSeconds, roots, sequence }: Bundle): NonNullable<StatusView["bundle"]> {
  return { sequence, learnedAt: iso(learnedAt), refreshHintSeconds, roots: roots.map(viewOfRoot) };
}

function viewOfRoot({ certificate }: Authority): RootView {
  const { subject } = new X509Certificate(certificate.der);
  return {
    // One part per line there, first the most general one.
    subject: subject.split("\n").reverse().join(", "),
    notAfter: iso(certificate.notAfter),
    sha256: sha256Of(certificate.der),
  };
}

function durationsOf(histogram: Histogram): DurationsView {
  const { bounds, buckets, count, sum } = histogram;
  if (count === 0) return { count, mean: null, p99: null };
  return { count, mean: sum / count, p99: bounds[buckets.findIndex((below) => below >= 0.99 * count)] ?? null };
}

export function viewOf({ caller, status }: Workload): WorkloadView {
  const { claims, spiffeId } = caller;
  const { lastError, tokenExpiresAt } = status;
  return {
    spiffeId: spiffeId.toString(),
    podName: claims.podName,
    podUid: claims.podUid,
    namespace: claims.namespace,
    serviceAccount: claims.serviceAccount,
    state: status.state,
    serialNumber: status.serialNumber,
    notBefore: iso(status.notBefore),
    notAfter: iso(status.notAfter),
    renewAt: iso(status.renewAt),
    lastIssuedAt: iso(status.receivedAt),
    issuedCount: status.issuedCount,
    streams: status.streams,
    tokenExpiresAt: Number.isFinite(tokenExpiresAt) ? iso(tokenExpiresAt) : null,
    lastError: lastError === undefined ? null : { code: lastError.code, message: lastError.message },
    lastErrorAt: isoOrNull(status.lastErrorAt),
    nextTryAt: isoOrNull(status.nextTryAt),
  };
}

/** Fingerprint of a certificate, as its hash in lower-case hex. */
export function sha256Of(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}

function isoOrNull(seconds: number | undefined): string | null {
  return seconds === undefined ? null : iso(seconds);
}
