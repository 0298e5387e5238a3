import { type Metric, Registry } from "prom-client";
import type { AdminSources } from "./admin.ts";
import type { Histogram } from "./metrics.ts";

interface Sample {
  readonly value: number;
  readonly labels?: Record<string, string | number>;
  readonly metricName?: string;
}

type Kind = "counter" | "gauge" | "histogram";

/** Renders what the agent counts as Prometheus text. Loaded on the first scrape, not before. */
export class PrometheusText {
  readonly #registry = new Registry();

  constructor({ csi, metrics, workloads }: Pick<AdminSources, "csi" | "metrics" | "workloads">) {
    const add = (name: string, type: Kind, help: string, samples: () => Sample[]) => {
      // A registry asks nothing of a metric but its name and this.
      const get = async () => ({ name, help, type, aggregator: "sum", values: samples() });
      this.#registry.registerMetric({ name, get } as unknown as Metric);
    };
    const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [{ value, labels: {} }]);
    const by = (label: string, counts: ReadonlyMap<string, number>): Sample[] =>
      [...counts].map(([key, value]) => ({ value, labels: { [label]: key } }));

    add("signet_agent_sds_streams", "gauge", "SDS streams that are open", () => one(metrics.streams));
    add("signet_agent_sds_pushes_total", "counter", "Responses sent on SDS streams", () => one(metrics.pushes));
    add("signet_agent_sds_acks_total", "counter", "Responses that Envoys accepted", () => one(metrics.acks));
    add("signet_agent_sds_nacks_total", "counter", "Responses that Envoys refused", () => one(metrics.nacks));
    add("signet_agent_sds_unknown_names_total", "counter", "Names asked for that the agent does not have", () =>
      one(metrics.unknownNames),
    );
    add("signet_agent_sds_refused_streams_total", "counter", "Streams ended by the agent, by reason", () =>
      by("code", metrics.refusedStreams),
    );
    add("signet_agent_issuance_total", "counter", "Requests for a certificate, by result", () =>
      by("result", metrics.issuance),
    );
    add("signet_agent_ca_request_seconds", "histogram", "Time to a certificate from the CA", () =>
      histogram("signet_agent_ca_request_seconds", metrics.caSeconds),
    );
    add("signet_agent_ca_last_success_timestamp_seconds", "gauge", "When the CA last gave what was asked for", () =>
      one(metrics.caLastSuccess),
    );
    add("signet_agent_bundle_sequence", "gauge", "Sequence of the trust bundle in use", () =>
      one(metrics.bundleSequence),
    );
    add("signet_agent_bundle_failures_total", "counter", "Times that the trust bundle could not be learned", () =>
      one(metrics.bundleFailures),
    );
    add("signet_agent_csi_registered", "gauge", "1 while the kubelet has registered the CSI driver", () =>
      one(csi === undefined ? undefined : Number(csi.unregistered === undefined)),
    );
    add("signet_agent_csi_volumes", "gauge", "Pods' sockets, by whether the kubelet has brought the token", () =>
      csi === undefined
        ? []
        : [
            { value: csi.volumes.size - csi.volumes.withoutToken, labels: { token: "yes" } },
            { value: csi.volumes.withoutToken, labels: { token: "no" } },
          ],
    );
    add("signet_agent_csi_publish_total", "counter", "Requests of the kubelet for a pod's socket, by result", () =>
      by("result", metrics.publishing),
    );
    add("signet_agent_certificate_expiry_timestamp_seconds", "gauge", "When a workload's certificate expires", () =>
      workloads().map(({ spiffeId, namespace, podName, expiresAt }) => ({
        value: expiresAt,
        labels: { spiffe_id: spiffeId, pod: `${namespace}/${podName}` },
      })),
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(): Promise<string> {
    return await this.#registry.metrics();
  }
}

function histogram(name: string, { bounds, buckets, count, sum }: Histogram): Sample[] {
  return [
    ...bounds.map((le, at) => ({ metricName: `${name}_bucket`, labels: { le }, value: buckets[at] ?? 0 })),
    { metricName: `${name}_bucket`, labels: { le: "+Inf" }, value: count },
    { metricName: `${name}_sum`, labels: {}, value: sum },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
}
