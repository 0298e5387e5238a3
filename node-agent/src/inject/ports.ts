import type { Upstream } from "./annotations.ts";
import type { InboundPort, Plan, Protocol } from "./plan.ts";
import type { Service, Workload } from "./workload.ts";

export const adminPort = 15_000;
export const firstMtlsPort = 15_006;
export const readinessPort = 15_021;

interface AppPort {
  readonly port: number;
  readonly protocol: Protocol;
  readonly title: string;
  /** Whose targetPort leads here. */
  readonly uses: { readonly service: Service; readonly index: number }[];
}

/**
 * Finds the application's ports behind the Services and gives each a port of the sidecar.
 * @param retargets gets the new targetPorts
 */
export function planInbound(
  workload: Workload,
  services: readonly Service[],
  upstreams: readonly Upstream[],
  retargets: Map<Service, Map<number, number>>,
  notes: string[],
  faults: string[],
): Pick<Plan, "inbound" | "untouched"> {
  const apps = new Map<number, AppPort>();
  const untouched: { port: number; protocol: string }[] = [];
  for (const service of services) {
    tellLimits(service, notes);
    for (const [index, entry] of (service.spec.ports ?? []).entries()) {
      const title = `${service.title}: spec.ports[${index}]`;
      const port = resolve(entry.targetPort ?? entry.port, entry.protocol ?? "TCP", workload);
      if (port === undefined) {
        faults.push(`${title}.targetPort: ${workload.title} has no container port named "${entry.targetPort}"`);
      } else if ((entry.protocol ?? "TCP") !== "TCP") {
        untouched.push({ port, protocol: entry.protocol ?? "TCP" });
        notes.push(`${title}: ${entry.protocol} stays as it is, without mutual TLS`);
      } else {
        const protocol = protocolOf(entry.appProtocol, entry.name);
        const app = apps.get(port) ?? { port, protocol, title, uses: [] };
        if (app.protocol !== protocol) {
          faults.push(
            `${title}: is ${protocol}, but ${app.title} leads to the same port as ${app.protocol}; name both alike`,
          );
        }
        app.uses.push({ service, index });
        apps.set(port, app);
      }
    }
  }

  const taken = new Set([adminPort, readinessPort, ...apps.keys(), ...upstreams.map(({ port }) => port)]);
  tellCollisions(workload, apps, upstreams, taken, notes, faults);
  const inbound: InboundPort[] = [];
  let next = firstMtlsPort;
  for (const { port, protocol, uses } of apps.values()) {
    while (next !== firstMtlsPort && taken.has(next)) next++;
    inbound.push({ protocol, appPort: port, mtlsPort: next });
    for (const { service, index } of uses) {
      const changes = retargets.get(service) ?? new Map<number, number>();
      const other = changes.get(index);
      if (other !== undefined && other !== next) {
        faults.push(
          `${service.title}: spec.ports[${index}]: leads to workloads that need different ports of the sidecar ` +
            `(${other} and ${next}); give ${workload.title} the same Services as the others`,
        );
      }
      retargets.set(service, changes.set(index, next));
    }
    next++;
  }
  return { inbound, untouched };
}

function tellCollisions(
  workload: Workload,
  apps: ReadonlyMap<number, AppPort>,
  upstreams: readonly Upstream[],
  taken: Set<number>,
  notes: string[],
  faults: string[],
): void {
  const ours = new Map([
    [adminPort, "its own administration"],
    [readinessPort, "readiness"],
    ...(apps.size > 0 ? ([[firstMtlsPort, "mutual TLS"]] as const) : []),
  ]);
  const { containers, initContainers } = workload.template.spec;
  for (const container of [...containers, ...(initContainers ?? [])]) {
    for (const { containerPort, protocol } of container.ports ?? []) {
      if ((protocol ?? "TCP") !== "TCP") continue;
      taken.add(containerPort);
      const use = ours.get(containerPort);
      if (use !== undefined) {
        faults.push(
          `${workload.title}: container ${container.name}: ports: ${containerPort} is the sidecar's, for ${use}; ` +
            "let the application listen on another",
        );
      }
    }
  }
  for (const { port, title } of apps.values()) {
    const use = ours.get(port);
    if (use !== undefined) {
      faults.push(
        `${title}: leads to port ${port}, which is the sidecar's, for ${use}; give the Service as it was before, ` +
          "with the application's port",
      );
    }
  }
  for (const { port, title } of upstreams) {
    const use = ours.get(port);
    if (use !== undefined) {
      faults.push(`${workload.title}: upstream ${title}: port ${port} is the sidecar's, for ${use}`);
    } else if (apps.has(port)) {
      notes.push(
        `${workload.title}: the application must listen on 127.0.0.1:${port}, not on all addresses: ` +
          `the sidecar needs the port for upstream ${title}`,
      );
    }
  }
}

function resolve(target: number | string, protocol: string, { template }: Workload): number | undefined {
  if (typeof target === "number") return target;
  const { containers, initContainers } = template.spec;
  return [...containers, ...(initContainers ?? [])]
    .flatMap(({ ports }) => ports ?? [])
    .find((port) => port.name === target && (port.protocol ?? "TCP") === protocol)?.containerPort;
}

/** Istio's convention: appProtocol, else the port's name up to its first hyphen; what is neither is plain TCP. */
function protocolOf(appProtocol: string | null | undefined, name: string | null | undefined): Protocol {
  const word = appProtocol?.toLowerCase().replace(/^kubernetes\.io\//, "") ?? name?.split("-")[0]?.toLowerCase();
  if (word === "http" || word === "ws") return "http";
  if (word === "http2" || word === "h2c" || word === "grpc") return "http2";
  return "tcp";
}

function tellLimits({ title, spec }: Service, notes: string[]): void {
  if (spec.clusterIP === "None") {
    notes.push(
      `${title}: has no address of its own: its clients connect to pods, on the port that they name; ` +
        `let their upstreams name the sidecar's port (${firstMtlsPort} is the first)`,
    );
  }
  if (spec.type === "LoadBalancer" || spec.type === "NodePort") {
    notes.push(
      `${title}: is open to the outside as a ${spec.type}; whoever comes from there without an identity is refused`,
    );
  }
}
