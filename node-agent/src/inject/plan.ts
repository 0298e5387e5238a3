import type { SpiffeId } from "@signet/shared/spiffe-id";
import { annotation, readClients, readUpstreams, type Upstream, unknownAnnotations } from "./annotations.ts";
import type { InjectOptions } from "./options.ts";
import { planInbound } from "./ports.ts";
import type { Inventory, Service, Workload } from "./workload.ts";

/** What the application speaks on a port. */
export type Protocol = "tcp" | "http" | "http2";

export interface InboundPort {
  readonly protocol: Protocol;
  readonly appPort: number;
  readonly mtlsPort: number;
}

/** What becomes of one workload. */
export interface Plan {
  readonly workload: Workload;
  readonly inbound: readonly InboundPort[];
  /** Ports of Services that stay as they are, such as those over UDP. */
  readonly untouched: readonly { readonly port: number; readonly protocol: string }[];
  /** Undefined admits the whole trust domain. */
  readonly clients: readonly SpiffeId[] | undefined;
  readonly upstreams: readonly LocalUpstream[];
}

export interface LocalUpstream extends Upstream {
  /** Where the sidecar listens for it; one address for each host. */
  readonly address: string;
}

/** By Service: which of its ports get which targetPort. */
export type Retargets = ReadonlyMap<Service, ReadonlyMap<number, number>>;

/** Decides for every workload whether and how it is injected. Notes and faults are lines for people. */
export function planAll(
  { workloads, services }: Inventory,
  options: InjectOptions,
  notes: string[],
  faults: string[],
): { plans: Plan[]; retargets: Retargets } {
  const plans: Plan[] = [];
  const retargets = new Map<Service, Map<number, number>>();
  const leftAlone: Workload[] = [];
  for (const workload of workloads) {
    if (!isWanted(workload, notes, faults)) {
      if (workload.annotations[annotation.injected] === undefined) leftAlone.push(workload);
      continue;
    }
    const { title, template, annotations } = workload;
    const namespace = workload.namespace ?? options.namespace;
    const clients = annotations[annotation.clients];
    const field = annotations[annotation.upstreams] === undefined ? "--upstreams" : annotation.upstreams;
    const upstreams = readUpstreams(
      annotations[annotation.upstreams] ?? options.upstreams ?? "",
      { ...options, namespace },
      `${title}: ${field}`,
      faults,
    );
    const selecting = services.filter((service) => selects(service, workload, options.namespace));
    const { inbound, untouched } = planInbound(workload, selecting, upstreams, retargets, notes, faults);
    if (inbound.length === 0 && upstreams.length === 0) {
      notes.push(
        `${title}: left as it was: no Service of the input selects it, and it names no upstreams; ` +
          `give its Service in the same input, or ${annotation.upstreams}`,
      );
      continue;
    }
    if ((template.spec.serviceAccountName ?? template.spec.serviceAccount ?? "default") === "default") {
      notes.push(`${title}: runs as the service account "default", an identity that it shares; give it its own`);
    }
    plans.push({
      workload,
      inbound,
      untouched,
      clients:
        clients === undefined ? undefined : readClients(clients, options, `${title}: ${annotation.clients}`, faults),
      upstreams: withAddresses(upstreams),
    });
  }
  for (const workload of leftAlone) {
    const shared = [...retargets.keys()].find((service) => selects(service, workload, options.namespace));
    if (shared !== undefined) {
      faults.push(
        `${shared.title}: selects ${workload.title} too, which is left alone and would get mutual TLS that it does not ` +
          "speak; inject both, or give them different Services",
      );
    }
  }
  return { plans, retargets };
}

function isWanted(workload: Workload, notes: string[], faults: string[]): boolean {
  const { title, annotations, template } = workload;
  const wish = annotations[annotation.inject];
  faults.push(...unknownAnnotations(annotations).map((fault) => `${title}: ${fault}`));
  const version = annotations[annotation.injected];
  if (version !== undefined) {
    notes.push(`${title}: has its sidecar already (from version ${version}); left as it was`);
    return false;
  }
  if (wish === "false") {
    notes.push(`${title}: left as it was, as ${annotation.inject} asks`);
    return false;
  }
  if (wish !== undefined && wish !== "true") {
    faults.push(`${title}: ${annotation.inject}: "${wish}" is neither "true" nor "false"`);
  }
  const { hostNetwork, os } = template.spec;
  const optOut = `set ${annotation.inject}: "false" to leave it alone`;
  if (hostNetwork === true) {
    faults.push(
      `${title}: hostNetwork: the sidecar would listen on the node's own addresses, for every process there; ${optOut}`,
    );
  }
  if (os?.name === "windows") faults.push(`${title}: os.name: there is no sidecar for windows; ${optOut}`);
  return true;
}

/** Whether traffic of the Service reaches the workload's pods. */
function selects({ spec, namespace }: Service, workload: Workload, fallback: string | undefined): boolean {
  const selector = Object.entries(spec.selector ?? {});
  const labels = workload.template.metadata?.labels ?? {};
  return (
    spec.type !== "ExternalName" &&
    (namespace ?? fallback) === (workload.namespace ?? fallback) &&
    selector.length > 0 &&
    selector.every(([name, value]) => labels[name] === value)
  );
}

// 127.0.0.1 is the application's.
const firstAddress = 2;

function withAddresses(upstreams: readonly Upstream[]): LocalUpstream[] {
  const hosts = [...new Set(upstreams.map(({ host }) => host))];
  return upstreams.map((upstream) => {
    const index = firstAddress + hosts.indexOf(upstream.host);
    return { ...upstream, address: `127.0.${Math.floor(index / 256)}.${index % 256}` };
  });
}
