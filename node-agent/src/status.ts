import { createHash, X509Certificate } from "node:crypto";
import type { AdminSources } from "./admin.ts";
import type { Authority, Bundle } from "./ca/bundle.ts";
import type { CaEndpointView } from "./ca/endpoint-view.ts";
import type { CaEndpointStatus, RootView, StatusView } from "./status-view.ts";
import { version } from "./version.ts";

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
    streams: metrics.streams,
    streamsByMethod: metrics.openStreams,
    workloads: [...workloads()].length,
    ca: caEndpoints().map(viewOfEndpoint),
    bundle: known === undefined ? null : viewOfBundle(known),
    counters: {
      pushes: metrics.pushes,
      acks: metrics.acks,
      nacks: metrics.nacks,
      unknownNames: metrics.unknownNames,
      bundleFailures: metrics.bundleFailures,
      refusedStreams: Object.fromEntries(metrics.refusedStreams),
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
