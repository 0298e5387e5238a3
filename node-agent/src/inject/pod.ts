import { version } from "../version.ts";
import { annotation } from "./annotations.ts";
import type { Edit, Path } from "./documents.ts";
import type { InjectOptions } from "./options.ts";
import type { LocalUpstream, Plan } from "./plan.ts";
import { identityMounts, makeSidecar, sidecarName } from "./sidecar.ts";
import type { PodTemplate } from "./workload.ts";

const lowPorts = "net.ipv4.ip_unprivileged_port_start";
const firstFreePort = 1_024;

/** What changes in the pod. */
export function podEdits(plan: Plan, options: InjectOptions, faults: string[]): Edit[] {
  const { workload, upstreams } = plan;
  const { title, template } = workload;
  const fault = (field: string, reason: string) => faults.push(`${title}: ${field}: ${reason}`);
  const base = [...workload.path, ...workload.templatePath];
  const spec: Path = [...base, "spec"];
  const volumes = identityMounts(options).map(({ volume }) => volume);
  tellCollisions(template, volumes, fault);
  if (options.sidecar === "container") tellEndless(workload.kind, template, fault);
  const native = options.sidecar === "native";
  const sidecar = [makeSidecar(plan, options)];
  return [
    { path: [...base, "metadata", "annotations", annotation.injected], set: version },
    { path: [...spec, native ? "initContainers" : "containers"], first: sidecar },
    { path: [...spec, "volumes"], last: volumes },
    ...aliasEdits(spec, template, upstreams, fault),
    ...sysctlEdits(spec, template, upstreams, fault),
  ];
}

type Fault = (field: string, reason: string) => void;

function tellCollisions({ spec }: PodTemplate, volumes: readonly { readonly name: string }[], fault: Fault): void {
  for (const field of ["containers", "initContainers"] as const) {
    for (const [index, { name }] of (spec[field] ?? []).entries()) {
      if (name === sidecarName) {
        fault(`${field}[${index}].name`, `"${name}" is the sidecar's name; rename the container, or take it out`);
      }
    }
  }
  for (const [index, { name }] of (spec.volumes ?? []).entries()) {
    if (volumes.some((volume) => volume.name === name)) {
      fault(`volumes[${index}].name`, `"${name}" is the name of the sidecar's volume; rename yours`);
    }
  }
}

function tellEndless(kind: string, { spec }: PodTemplate, fault: Fault): void {
  const ends = spec.restartPolicy === "Never" || spec.restartPolicy === "OnFailure";
  if (kind === "Job" || kind === "CronJob" || ends) {
    fault("--sidecar container", "the pod would never complete, for its sidecar runs on; use --sidecar native");
  }
}

/** Lets the names of upstreams lead to the sidecar. */
function aliasEdits(spec: Path, template: PodTemplate, upstreams: readonly LocalUpstream[], fault: Fault): Edit[] {
  const names = new Map(upstreams.map((upstream) => [upstream.address, upstream.names]));
  for (const [index, { hostnames }] of (template.spec.hostAliases ?? []).entries()) {
    for (const name of hostnames ?? []) {
      if ([...names.values()].some((ours) => ours.includes(name))) {
        fault(
          `hostAliases[${index}]`,
          `"${name}" leads elsewhere already; take it out, or take it out of the upstreams`,
        );
      }
    }
  }
  const aliases = [...names].map(([ip, hostnames]) => ({ ip, hostnames: [...hostnames] }));
  return aliases.length === 0 ? [] : [{ path: [...spec, "hostAliases"], last: aliases }];
}

/** Lets the sidecar listen on ports below 1024 without a capability: a safe sysctl, which `restricted` allows. */
function sysctlEdits(spec: Path, template: PodTemplate, upstreams: readonly LocalUpstream[], fault: Fault): Edit[] {
  const low = upstreams.filter(({ port }) => port < firstFreePort);
  if (low.length === 0) return [];
  const given = template.spec.securityContext?.sysctls?.find(({ name }) => name === lowPorts);
  if (given === undefined) {
    return [{ path: [...spec, "securityContext", "sysctls"], last: [{ name: lowPorts, value: "0" }] }];
  }
  for (const { port, title } of low) {
    if (Number(given.value) > port) {
      fault(
        "securityContext.sysctls",
        `${lowPorts} is ${given.value}, but upstream ${title} needs port ${port}; make it 0`,
      );
    }
  }
  return [];
}
