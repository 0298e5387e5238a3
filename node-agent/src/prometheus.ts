import type { AdminSources } from "./admin.ts";
import { ProcessMetrics } from "./process-metrics.ts";
import { contentType, type Family, formatFamilies, type Sample } from "./prometheus-format.ts";
import { by, counter, gauge, histogram, one } from "./prometheus-samples.ts";
import { sha256Of } from "./status.ts";
import { version } from "./version.ts";

/**
 * Renders what the agent counts as Prometheus text. Loaded on the first scrape, not before. Labels hold names of what the
 * CA has accepted, of the configuration and of closed lists; a name that a client merely says never becomes one.
 */
export class PrometheusText {
  readonly contentType = contentType;
  readonly #sources: AdminSources;
  readonly #process = new ProcessMetrics();

  constructor(sources: AdminSources) {
    this.#sources = sources;
  }

  render(): string {
    return formatFamilies([
      gauge("signet_agent_build_info", "Version of the agent", [{ value: 1, labels: { version } }]),
      ...workloadFamilies(this.#sources),
      ...sdsFamilies(this.#sources),
      ...caFamilies(this.#sources),
      ...bundleFamilies(this.#sources),
      ...nodeFamilies(this.#sources),
      ...this.#process.families(),
    ]);
  }
}

function workloadFamilies({ metrics, workloads }: AdminSources): Family[] {
  // With a thousand workloads it counts that each is asked, and its labels are made, once.
  const all = Array.from(workloads(), ({ caller: { claims, spiffeId }, status }) => ({
    status,
    labels: { spiffe_id: spiffeId.toString(), workload: `${claims.namespace}/${claims.podName}` },
  }));
  const each = (of: "notAfter" | "receivedAt" | "renewAt" | "streams"): Sample[] =>
    all.map(({ labels, status }) => ({ value: status[of], labels }));
  const name = "signet_agent_certificate";
  return [
    gauge("signet_agent_workloads", "Workloads that hold a certificate", one(all.length)),
    gauge(`${name}_expiry_timestamp_seconds`, "When a workload's certificate expires", each("notAfter")),
    gauge(`${name}_issued_timestamp_seconds`, "When a workload's certificate was received", each("receivedAt")),
    gauge(`${name}_renewal_timestamp_seconds`, "When a workload's certificate is due for renewal", each("renewAt")),
    gauge("signet_agent_workload_streams", "Streams of a workload that are open", each("streams")),
    counter(
      "signet_agent_issuance_total",
      "Requests for a certificate, first ones and renewals, by result",
      by("result", metrics.issuance),
    ),
    counter(
      "signet_agent_renewals_total",
      "Requests for a successor of a certificate in use, by result",
      by("result", metrics.renewals),
    ),
  ];
}

function sdsFamilies({ metrics }: AdminSources): Family[] {
  const sds = "signet_agent_sds";
  return [
    gauge(`${sds}_connections`, "Connections that are open, of clients and of the kubelet", one(metrics.connections)),
    gauge(`${sds}_streams`, "SDS streams that are open", one(metrics.streams)),
    gauge(
      `${sds}_calls`,
      "SDS streams and calls of identified clients that are open, by method",
      by("method", Object.entries(metrics.openStreams)),
    ),
    counter(`${sds}_pushes_total`, "Responses sent on SDS streams", one(metrics.pushes)),
    counter(`${sds}_acks_total`, "Responses that clients accepted", one(metrics.acks)),
    counter(`${sds}_nacks_total`, "Responses that clients refused", one(metrics.nacks)),
    histogram(`${sds}_push_seconds`, "From a change to its response written to a stream", metrics.pushSeconds),
    histogram(`${sds}_ack_seconds`, "From a response written to the client's answer to it", metrics.ackSeconds),
    counter(`${sds}_unknown_names_total`, "Names asked for that the agent does not have", one(metrics.unknownNames)),
    counter(
      `${sds}_refused_streams_total`,
      "Streams ended by the agent, by reason",
      by("code", metrics.refusedStreams),
    ),
    counter(
      `${sds}_refused_connections_total`,
      "Connections closed at once by the agent, by reason",
      by("reason", metrics.refusedConnections),
    ),
  ];
}

function caFamilies({ caEndpoints, metrics }: AdminSources): Family[] {
  const ca = "signet_agent_ca";
  const times = (of: "lastSuccessAt" | "lastFailureAt"): Sample[] =>
    caEndpoints().flatMap(({ url, [of]: value }) => (value === undefined ? [] : [{ value, labels: { url } }]));
  return [
    counter(
      `${ca}_requests_total`,
      "Requests to the CA, by URL and result",
      Array.from(metrics.caRequests, ([key, value]) => {
        const [url = "", result = ""] = key.split(" ");
        return { value, labels: { url, result } };
      }),
    ),
    histogram(
      `${ca}_batch_items`,
      "Certificates that one request asked for, where it was more than one",
      metrics.caBatchItems,
    ),
    counter(
      `${ca}_retry_budget_exhausted_total`,
      "Retries that had to wait because there were too many",
      one(metrics.retryBudgetExhausted),
    ),
    counter(
      `${ca}_short_lived_total`,
      "Certificates whose life is far shorter than what was asked for",
      one(metrics.shortLived),
    ),
    histogram(`${ca}_request_seconds`, "From a request to the CA to its answer", metrics.caSeconds),
    gauge(
      `${ca}_last_success_timestamp_seconds`,
      "When the CA last gave what was asked for",
      one(metrics.caLastSuccess),
    ),
    gauge(
      `${ca}_endpoint_up`,
      "1 for a URL of the CA that is in use, 0 for one that is set aside",
      caEndpoints().map(({ state, url }) => ({ value: Number(state !== "failing"), labels: { url } })),
    ),
    gauge(
      `${ca}_endpoint_last_success_timestamp_seconds`,
      "When a URL of the CA last answered",
      times("lastSuccessAt"),
    ),
    gauge(`${ca}_endpoint_last_failure_timestamp_seconds`, "When a URL of the CA last failed", times("lastFailureAt")),
  ];
}

function bundleFamilies({ bundle, metrics }: AdminSources): Family[] {
  const name = "signet_agent_bundle";
  return [
    gauge(`${name}_sequence`, "Sequence of the trust bundle in use", one(metrics.bundleSequence)),
    gauge(
      `${name}_learned_timestamp_seconds`,
      "When the trust bundle in use was first heard of",
      one(bundle()?.learnedAt),
    ),
    gauge(
      `${name}_confirmed_timestamp_seconds`,
      "When the CA last said what the trust bundle is",
      one(metrics.bundleConfirmedAt),
    ),
    gauge(
      `${name}_refresh_hint_seconds`,
      "How often the CA wants to be asked for the trust bundle",
      one(bundle()?.refreshHintSeconds),
    ),
    gauge(
      `${name}_root_expiry_timestamp_seconds`,
      "When a root of the trust bundle expires",
      (bundle()?.roots ?? []).map(({ certificate }) => ({
        value: certificate.notAfter,
        labels: { sha256: sha256Of(certificate.der) },
      })),
    ),
    counter(`${name}_failures_total`, "Times that the trust bundle could not be learned", one(metrics.bundleFailures)),
  ];
}

function nodeFamilies({ csi, metrics }: AdminSources): Family[] {
  const name = "signet_agent_csi";
  return [
    counter(
      "signet_agent_tokens_verified_offline_total",
      "Tokens that were found good by what the CA has published, while the CA itself could not be asked",
      one(metrics.tokensVerifiedOffline),
    ),
    counter(
      "signet_agent_clock_jumps_total",
      "Steps of the machine's clock, by direction",
      by("direction", Object.entries(metrics.clockJumps)),
    ),
    counter(
      "signet_agent_sockets_restored_total",
      "Sockets that were taken away and made again, by role",
      by("role", metrics.restoredSockets),
    ),
    counter(
      "signet_agent_log_lines_lost_total",
      "Lines of the log that could not be written",
      one(metrics.logLinesLost),
    ),
    gauge(
      `${name}_registered`,
      "1 while the kubelet has registered the CSI driver",
      one(csi === undefined ? undefined : Number(csi.unregistered === undefined)),
    ),
    gauge(
      `${name}_volumes`,
      "Pods' sockets, by whether the kubelet has brought the token",
      csi === undefined
        ? []
        : by("token", [
            ["yes", csi.volumes.size - csi.volumes.withoutToken],
            ["no", csi.volumes.withoutToken],
          ]),
    ),
    counter(
      `${name}_publish_total`,
      "Requests of the kubelet for a pod's socket, by result",
      by("result", metrics.publishing),
    ),
  ];
}
