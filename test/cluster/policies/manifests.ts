/** Pods, and what has a template of one, for the tests of admission. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { repoRoot } from "../../support/repo.ts";
import { image } from "../namespaces.ts";

export const socketDirectory = "/var/run/sds";

export interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly volumeMounts?: readonly Mount[];
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly [kind: string]: unknown }[];
  readonly [field: string]: unknown;
}

/** For a pod that is stored and never starts. */
export const nowhere = { nodeSelector: { "signet.dev/test": "nowhere" } };

const fullSpec = ({ containers = [container()], initContainers = [], ...spec }: PodSpec) => ({
  terminationGracePeriodSeconds: 0,
  ...spec,
  containers: containers.map((one) => ({ image, ...one })),
  initContainers: initContainers.map((one) => ({ image, ...one })),
});

export const container = (volumeMounts: readonly Mount[] = [], more: object = {}): Container => ({
  name: "main",
  ...more,
  volumeMounts,
});

export const pod = (spec: PodSpec, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "probe", ...metadata },
  spec: fullSpec(spec),
});

export const hostPath = (path: string, type?: string) => ({
  name: "host",
  hostPath: { path, ...(type === undefined ? {} : { type }) },
});

/** A pod's spec with `path` of the node mounted at the same path, writable unless `mount` says otherwise. */
export const mounting = (path: string, mount: Partial<Mount> = {}, type?: string): PodSpec => ({
  containers: [container([hostMount(mount)])],
  volumes: [hostPath(path, type)],
});

export const hostMount = (more: Partial<Mount> = {}): Mount => ({ name: "host", mountPath: "/mounted", ...more });

const daemonSet = join(repoRoot, "infra/kubernetes/base/signet-node-agent.daemonset.yaml");

/** The agent's own. */
export const agentSpec = (parse(readFileSync(daemonSet, "utf8")) as { spec: { template: { spec: PodSpec } } }).spec
  .template.spec;

export const csiSpec: PodSpec = {
  containers: [container([{ name: "identity", mountPath: "/var/run/secrets/workload-spiffe-uds", readOnly: true }])],
  volumes: [{ name: "identity", csi: { driver: "csi.signet.dev", readOnly: true } }],
};

/** A Deployment as in Istio's task, of one replica with label app: `name`. */
export const deployment = (name: string, spec: PodSpec) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: fullSpec(spec) },
  },
});

/** Everything that makes pods from a template. */
export function workloads(spec: PodSpec): { apiVersion: string; kind: string; [field: string]: unknown }[] {
  const template = { metadata: { labels: { app: "probe" } }, spec: fullSpec(spec) };
  const job = { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } };
  const selector = { matchLabels: { app: "probe" } };
  const metadata = { name: "probe" };
  return [
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { selector, template } },
    { apiVersion: "apps/v1", kind: "DaemonSet", metadata, spec: { selector, template } },
    { apiVersion: "apps/v1", kind: "StatefulSet", metadata, spec: { selector, template, serviceName: "probe" } },
    { apiVersion: "apps/v1", kind: "ReplicaSet", metadata, spec: { selector, template } },
    { apiVersion: "v1", kind: "ReplicationController", metadata, spec: { selector: { app: "probe" }, template } },
    { apiVersion: "v1", kind: "PodTemplate", metadata, template },
    { apiVersion: "batch/v1", kind: "Job", metadata, spec: job },
    {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata,
      spec: { schedule: "0 0 1 1 *", jobTemplate: { spec: job } },
    },
  ];
}

export const persistentVolume = (source: object) => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "signet-test-probe" },
  spec: { capacity: { storage: "1Mi" }, accessModes: ["ReadWriteOnce"], ...source },
});
