import type { AccountPath } from "@signet/shared/account-path";
import { asSignetError } from "@signet/shared/errors";
import { SpiffeId, type TrustDomain } from "@signet/shared/spiffe-id";

const prefix = "signet.dev/";
export const annotation = {
  inject: `${prefix}inject`,
  injected: `${prefix}injected`,
  clients: `${prefix}clients`,
  upstreams: `${prefix}upstreams`,
} as const;

/** A Service of the mesh as the application names it, and who must answer there. */
export interface Upstream {
  /** Of the application's requests: `http` also carries gRPC and WebSockets and can try again. */
  readonly protocol: "http" | "tcp";
  /** As it was asked for, such as `httpbin.foo:8000`. */
  readonly title: string;
  /** Name and namespace of the Service, before them a pod's name where it is headless: `httpbin.foo`. */
  readonly host: string;
  readonly port: number;
  /** Names for this host that the application may use. */
  readonly names: readonly string[];
  readonly server: SpiffeId;
}

/** How `namespace/service-account` becomes a SPIFFE ID. */
export interface AccountNaming {
  readonly trustDomain: TrustDomain;
  readonly accountPath: AccountPath;
}

export interface UpstreamContext extends AccountNaming {
  readonly clusterDomain: string;
  /** Of the workload, where it is known. */
  readonly namespace: string | undefined;
}

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Annotations of ours that are unknown: a slip of the pen must not pass for silence. */
export function unknownAnnotations(annotations: Readonly<Record<string, string>>): string[] {
  const known: readonly string[] = Object.values(annotation);
  return Object.keys(annotations)
    .filter((name) => name.startsWith(prefix) && !known.includes(name))
    .map((name) => `${name}: unknown annotation; known are ${known.join(", ")}`);
}

/**
 * Reads `foo/sleep, bar/sleep`: service accounts with their namespaces; or whole SPIFFE IDs.
 * @param field what to call the list in a fault
 */
export function readClients(text: string, naming: AccountNaming, field: string, faults: string[]): SpiffeId[] {
  const clients = words(text).flatMap((word) => readIdentity(word, naming, `${field}: "${word}"`, faults) ?? []);
  if (words(text).length === 0) {
    faults.push(`${field}: names nobody; give namespace/service-account, or leave it out to admit the trust domain`);
  }
  return clients;
}

const shape = /^(?:([a-z0-9]+):\/\/)?([^:/=]+):(\d{1,5})=(.+)$/;

/**
 * Reads `http://httpbin.foo:8000=foo/httpbin, db.bar:5432=bar/db`: hosts with ports, and the identity of each server.
 * @param field what to call the list in a fault
 */
export function readUpstreams(text: string, context: UpstreamContext, field: string, faults: string[]): Upstream[] {
  const found = new Map<string, Upstream>();
  for (const word of words(text)) {
    const where = `${field}: "${word}"`;
    const [, scheme = "tcp", host, digits, identity] = shape.exec(word) ?? [];
    if (host === undefined || identity === undefined) {
      faults.push(`${where} is not like http://httpbin.foo:8000=foo/httpbin (or tcp://, which is meant without)`);
      continue;
    }
    const port = Number(digits);
    const protocol = scheme === "tcp" ? "tcp" : scheme === "http" || scheme === "grpc" ? "http" : undefined;
    if (protocol === undefined) faults.push(`${where}: "${scheme}" is none of http, grpc, tcp`);
    if (port < 1 || port > 65_535) faults.push(`${where}: ${digits} is no port`);
    const name = readHost(host, context, where, faults);
    const server = readIdentity(identity, context, where, faults);
    if (protocol === undefined || name === undefined || server === undefined) continue;
    const key = `${name.host}:${port}`;
    if (found.has(key)) faults.push(`${where}: ${key} is named twice; name it once`);
    found.set(key, { protocol, title: `${host}:${port}`, ...name, port, server });
  }
  return [...found.values()];
}

/**
 * The names lead the application to the sidecar by the pod's /etc/hosts, which the sidecar reads too. It asks for the
 * whole name with a dot at its end, which is in no such file.
 */
function readHost(
  text: string,
  { clusterDomain, namespace }: UpstreamContext,
  where: string,
  faults: string[],
): { host: string; names: string[] } | undefined {
  const suffix = [`.svc.${clusterDomain}.`, `.svc.${clusterDomain}`, ".svc"].find((end) => text.endsWith(end)) ?? "";
  const labels = text.slice(0, text.length - suffix.length).split(".");
  const bad = labels.find((part) => !label.test(part));
  if (bad !== undefined) {
    faults.push(`${where}: "${bad}" is no part of a Service's name (small letters, digits and "-")`);
    return undefined;
  }
  if (labels.length === 1) {
    if (namespace === undefined) {
      faults.push(`${where}: whose namespace? say ${text}.NAMESPACE, or give --namespace`);
      return undefined;
    }
    labels.push(namespace);
  }
  if (labels.length > 3) {
    faults.push(`${where}: is no Service of this cluster; only SERVICE.NAMESPACE can be reached through the sidecar`);
    return undefined;
  }
  const host = labels.join(".");
  const bare = labels.at(-1) === namespace ? [labels.slice(0, -1).join(".")] : [];
  return { host, names: [...bare, host, `${host}.svc`, `${host}.svc.${clusterDomain}`] };
}

function readIdentity(
  text: string,
  { accountPath, trustDomain }: AccountNaming,
  where: string,
  faults: string[],
): SpiffeId | undefined {
  try {
    if (text.startsWith("spiffe://")) return SpiffeId.parse(text);
    const [namespace, account, ...more] = text.split("/");
    if (namespace === undefined || account === undefined || more.length > 0) {
      faults.push(`${where}: "${text}" is not like namespace/service-account`);
      return undefined;
    }
    return accountPath.idOf(trustDomain, namespace, account);
  } catch (error) {
    faults.push(`${where}: ${asSignetError(error, "config-invalid").message}`);
    return undefined;
  }
}

function words(list: string): string[] {
  return list.split(/[\s,]+/).filter((word) => word !== "");
}
