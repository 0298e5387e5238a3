import type { Plan } from "./plan.ts";
import { readinessPort } from "./ports.ts";
import type { Workload } from "./workload.ts";

/** The same whenever the same workload is injected. */
export function networkPolicyName({ name, generateName }: Workload): string {
  return `signet-mtls-${name ?? generateName ?? ""}`.slice(0, 253).replace(/[^a-z0-9]+$/, "");
}

/**
 * Admits only what the sidecar guards, for an application that does not listen on 127.0.0.1 alone. Undefined for a
 * workload without labels: a policy that selects by none would hold for the whole namespace.
 */
export function makeNetworkPolicy({ workload, inbound, untouched }: Plan): object | undefined {
  const labels = workload.template.metadata?.labels ?? {};
  if (Object.keys(labels).length === 0) return undefined;
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: {
      name: networkPolicyName(workload),
      ...(workload.namespace === undefined ? {} : { namespace: workload.namespace }),
    },
    spec: {
      podSelector: { matchLabels: { ...labels } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          ports: [
            ...inbound.map(({ mtlsPort }) => ({ port: mtlsPort, protocol: "TCP" })),
            { port: readinessPort, protocol: "TCP" },
            ...untouched,
          ],
        },
      ],
    },
  };
}
