import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apply, kubectl, kubectlJson, requireThrowAwayCluster } from "../cluster/kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "../cluster/namespaces.ts";
import {
  agentSpec,
  container,
  csiSpec,
  deployment,
  hostMount,
  hostPath,
  mounting,
  type PodSpec,
  pod,
  socketDirectory,
} from "../cluster/policies/manifests.ts";
import { verdict } from "../cluster/policies.ts";
import { until } from "../support/poll.ts";
import { repoRoot } from "../support/repo.ts";

const namespace = "admission";
const system = "signet-system";
const folder = join(repoRoot, "infra/kubernetes/policies/pod-security-policy");
const rbac = "rbac.authorization.k8s.io";
let ours = false;

/** May make pods and nothing else; the tests' own user may use every policy. */
const maker = { kind: "ServiceAccount", name: "maker", namespace };
const asMaker = ["--as", `system:serviceaccount:${namespace}:${maker.name}`];

beforeAll(async () => {
  await requireThrowAwayCluster();
  const served = await kubectl("api-resources", "--api-group=policy", "-o", "name");
  if (!served.includes("podsecuritypolicies")) {
    throw new Error("this cluster has no PodSecurityPolicy: these tests need Kubernetes 1.24 or older");
  }
  await makeNamespaces(namespace, system);
  ours = true;
  await apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "signet-node-agent", namespace: system } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "signet-node-agent", namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: maker.name, namespace } },
    ...[namespace, system].flatMap((place) => [
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: place } },
      {
        apiVersion: `${rbac}/v1`,
        kind: "Role",
        metadata: { name: "maker", namespace: place },
        rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["create"] }],
      },
      {
        apiVersion: `${rbac}/v1`,
        kind: "RoleBinding",
        metadata: { name: "maker", namespace: place },
        roleRef: { apiGroup: rbac, kind: "Role", name: "maker" },
        subjects: [maker],
      },
    ]),
  );
  await kubectl("apply", "-k", folder);
  await until("the policies to be in force", async () => {
    const [normal, bad] = [await say(pod({})), await say(pod(mounting(socketDirectory)))];
    return normal === undefined && bad?.includes("must be read-only");
  });
});

afterAll(async () => {
  if (!ours) return;
  await kubectl("delete", "-k", folder, "--ignore-not-found");
  await deleteNamespaces(namespace, system);
});

const say = async (manifest: object, place = namespace) => (await verdict(manifest, place, ...asMaker)).refusal;

describe("is admitted", () => {
  it.each<{ what: string; spec: PodSpec; in?: string }>([
    { what: "a pod without host paths", spec: {} },
    { what: "a pod with the socket directory read-only", spec: mounting(socketDirectory, { readOnly: true }) },
    { what: "a pod with our CSI volume", spec: csiSpec },
    {
      what: "a pod that meets the restricted Pod Security Standard",
      spec: {
        ...csiSpec,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
      },
    },
    {
      what: "the init container of Istio's injector",
      spec: { containers: [container([], { securityContext: { capabilities: { add: ["NET_ADMIN"] } } })] },
    },
    { what: "the agent", spec: agentSpec, in: system },
  ])("$what", async ({ spec, in: place }) => {
    expect(await say(pod(spec), place)).toBeUndefined();
  });
});

describe("is refused", () => {
  const readOnly = { readOnly: true };
  const notAllowed = "is not allowed to be used";
  it.each<{ what: string; spec: PodSpec; says: string; in?: string }>([
    {
      what: "the socket directory, writable",
      spec: mounting(socketDirectory),
      says: "spec.containers[0].volumeMounts[0].readOnly: Invalid value: false: must be read-only",
    },
    { what: "the same, spelt with a slash", spec: mounting("/var/run/sds/"), says: "must be read-only" },
    { what: "the socket, writable", spec: mounting("/var/run/sds/uds_path"), says: "must be read-only" },
    {
      what: "an init container that may write",
      spec: { initContainers: [container([hostMount()], { name: "init" })], volumes: [hostPath(socketDirectory)] },
      says: "spec.initContainers[0].volumeMounts[0].readOnly: Invalid value: false: must be read-only",
    },
    {
      what: "a second container that may write",
      spec: {
        containers: [container([hostMount(readOnly)]), container([hostMount()], { name: "second" })],
        volumes: [hostPath(socketDirectory)],
      },
      says: "spec.containers[1].volumeMounts[0].readOnly: Invalid value: false: must be read-only",
    },
    ...["/", "/var", "/var/run", "/run", "/run/sds", "/var//run/sds", "/var/run/sdsx", "/var/lib/kubelet", "/tmp"].map(
      (path) => ({ what: `the host path ${path}, even read-only`, spec: mounting(path, readOnly), says: notAllowed }),
    ),
    {
      what: "the agent's service account name in another namespace",
      spec: agentSpec,
      says: notAllowed,
    },
    {
      what: "another service account in the agent's namespace",
      spec: { ...agentSpec, serviceAccountName: "default" },
      says: notAllowed,
      in: system,
    },
    {
      what: "a host path that the agent does not need",
      spec: { ...mounting("/var/lib/kubelet"), serviceAccountName: "signet-node-agent" },
      says: notAllowed,
      in: system,
    },
    {
      what: "a privileged container",
      spec: { containers: [container([], { securityContext: { privileged: true } })] },
      says: "Privileged containers are not allowed",
    },
    { what: "hostPID", spec: { hostPID: true }, says: "Host PID is not allowed to be used" },
  ])("$what", async ({ spec, says, in: place }) => {
    expect(await say(pod(spec), place)).toContain(says);
  });
});

it("leaves ephemeral containers, which this kind of admission does not look at, to roles beyond admin", async () => {
  const may = (verb: string, ...resource: string[]) =>
    kubectl("auth", "can-i", verb, ...resource, "-n", namespace, "--as", `system:serviceaccount:${namespace}:default`);
  await apply({
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name: "admin", namespace },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "admin" },
    subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
  });
  await until("the role to count", () => may("patch", "pods"));
  for (const verb of ["patch", "update"]) {
    await expect(may(verb, "pods", "--subresource=ephemeralcontainers")).rejects.toThrow("ended with 1");
  }
});

it("normal gets its pod; malicious does not, and its ReplicaSet says why", async () => {
  await apply(inNamespace(deployment("normal", {})), inNamespace(deployment("malicious", mounting(socketDirectory))));
  const failed = await until("the ReplicaSet to fail", async () => {
    const lines = (await kubectl("describe", "rs", "-l", "app=malicious", "-n", namespace)).split("\n");
    return lines.find((line) => /Warning\s+FailedCreate/.test(line));
  });
  expect(failed).toMatch(/pods "malicious-[^"]*" is forbidden: PodSecurityPolicy: unable to admit pod/);
  expect(failed).toContain("[spec.containers[0].volumeMounts[0].readOnly: Invalid value: false: must be read-only]");
  await until("the pod of normal to be made", async () => {
    const { items } = await kubectlJson<{ items: object[] }>("get", "pods", "-l", "app=normal", "-n", namespace);
    return items.length === 1;
  });
  expect(await kubectl("get", "pods", "-l", "app=malicious", "-n", namespace)).toBe("");
});

function inNamespace<T extends { metadata: object }>(manifest: T) {
  return { ...manifest, metadata: { ...manifest.metadata, namespace } };
}
