import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { runToEnd } from "../support/processes.ts";
import { apply, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";
import {
  agentSpec,
  container,
  csiSpec,
  deployment,
  hostMount,
  hostPath,
  mounting,
  nowhere,
  type PodSpec,
  persistentVolume,
  pod,
  socketDirectory,
  workloads,
} from "./policies/manifests.ts";
import { applyPolicies, removePolicies, verdict } from "./policies.ts";

const namespace = "admission";
const trusted = "admission-trusted";
const system = "signet-system";
const mine: string[] = [];

beforeAll(async () => {
  await requireThrowAwayCluster();
  await removePolicies();
  // One with the agent in it, from an installation, does as well.
  const installed = (await kubectl("get", "namespace", system, "--ignore-not-found")) !== "";
  mine.push(namespace, trusted, ...(installed ? [] : [system]));
  await makeNamespaces(...mine);
  await kubectl("label", "namespace", trusted, "signet.dev/host-access=trusted");
  for (const place of installed ? [namespace] : [namespace, system]) {
    await apply(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "signet-node-agent", namespace: place } },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: place } },
    );
  }
  // As if it had been there before the policies.
  await apply(
    inNamespace(pod({ ...mounting(socketDirectory), ...nowhere }, { name: "older", finalizers: [finalizer] })),
  );
  await applyPolicies();
});

afterAll(async () => {
  if (mine.length === 0) return;
  await removePolicies();
  // Its finalizer would keep the namespace, had the test that takes it away not run to its end.
  const older = await kubectl("get", "pod", "older", "-n", namespace, "--ignore-not-found", "-o", "name");
  if (older !== "") await patchOlder({ metadata: { finalizers: null } });
  await deleteNamespaces(...mine);
});

const patchOlder = (what: object) => kubectl("patch", "pod", "older", "-n", namespace, "-p", JSON.stringify(what));

const finalizer = "signet.dev/test";
const inNamespace = <T extends { metadata: object }>(manifest: T) => ({
  ...manifest,
  metadata: { ...manifest.metadata, namespace },
});

describe("is admitted", () => {
  const readOnly = { readOnly: true };
  it.each<{ what: string; spec: PodSpec; in?: string }>([
    { what: "a pod without host paths", spec: {} },
    { what: "a pod with the socket directory read-only", spec: mounting(socketDirectory, readOnly) },
    { what: "the same under its other name", spec: mounting("/run/sds", readOnly) },
    { what: "the same spelt differently", spec: mounting("//var/./run//sds/", readOnly) },
    { what: "the same as a directory to be made", spec: mounting(socketDirectory, readOnly, "DirectoryOrCreate") },
    { what: "a socket directory that no container mounts", spec: { volumes: [hostPath(socketDirectory)] } },
    { what: "a pod with our CSI volume", spec: csiSpec },
    {
      what: "a writable mount of something else beside the socket directory",
      spec: {
        containers: [container([hostMount(readOnly), { name: "scratch", mountPath: "/scratch" }])],
        volumes: [hostPath(socketDirectory), { name: "scratch", emptyDir: {} }],
      },
    },
    { what: "the capabilities of a sidecar's init container", spec: withCapabilities("NET_ADMIN", "NET_RAW") },
    { what: "the agent", spec: agentSpec, in: system },
    { what: "another host path in a trusted namespace", spec: mounting("/"), in: trusted },
    { what: "a privileged pod in a trusted namespace", spec: privileged(), in: trusted },
    { what: "another host path in kube-system", spec: mounting("/var/lib/kubelet"), in: "kube-system" },
  ])("$what", async ({ spec, in: place = namespace }) => {
    expect(await verdict(pod(spec), place)).toEqual({ warnings: expect.not.stringContaining("signet-") });
  });
});

describe("is refused: the socket directory must be read-only", () => {
  const at = (list: string, index = 0, mount = 0) =>
    `spec.${list}[${index}].volumeMounts[${mount}].readOnly: Invalid value: false: must be read-only`;
  it.each<{ what: string; spec: PodSpec; says?: string; in?: string }>([
    { what: "writable", spec: mounting(socketDirectory) },
    { what: "readOnly: false", spec: mounting(socketDirectory, { readOnly: false }) },
    ...["/var/run/sds/", "//var//run/sds", "/var/./run/sds/.", "/run/sds", "/run/sds//"].map((path) => ({
      what: `spelt ${path}`,
      spec: mounting(path),
    })),
    {
      what: "in an init container",
      spec: {
        initContainers: [container([hostMount()], { name: "init" })],
        volumes: [hostPath(socketDirectory)],
      },
      says: at("initContainers"),
    },
    {
      what: "in the second mount of the second container",
      spec: {
        containers: [
          container([hostMount({ readOnly: true })]),
          container([hostMount({ readOnly: true }), hostMount({ mountPath: "/again" })], { name: "second" }),
        ],
        volumes: [hostPath(socketDirectory)],
      },
      says: `${at("containers", 1, 1)} (container "second" mounts the socket directory at /again)`,
    },
    {
      what: "through the second of two volumes",
      spec: {
        containers: [container([hostMount({ readOnly: true }), { name: "twin", mountPath: "/twin" }])],
        volumes: [hostPath(socketDirectory), { ...hostPath("/run/sds"), name: "twin" }],
      },
      says: at("containers", 0, 1),
    },
    { what: "in a trusted namespace", spec: mounting(socketDirectory), in: trusted },
    { what: "as a relative path in a trusted namespace", spec: mounting("var/run/sds"), in: trusted },
    { what: "in kube-system", spec: mounting(socketDirectory), in: "kube-system" },
    {
      what: "under the agent's name in another namespace",
      spec: { ...mounting(socketDirectory), serviceAccountName: "signet-node-agent" },
    },
    { what: "under another name in the agent's namespace", spec: mounting(socketDirectory), in: system },
  ])("$what", async ({ spec, says = at("containers"), in: place = namespace }) => {
    const { refusal } = await verdict(pod(spec), place);
    expect(refusal).toContain("ValidatingAdmissionPolicy 'signet-socket-directory'");
    expect(refusal).toContain(says);
  });
});

describe("is refused even read-only", () => {
  const readOnly = { readOnly: true };
  const below = "mount the socket directory itself";
  const agentOnly = "is for the agent alone";
  it.each<{ what: string; spec: PodSpec; says: string; in?: string }>([
    { what: "a subPath", spec: mounting(socketDirectory, { readOnly: true, subPath: "x" }), says: "leave out subPath" },
    {
      what: "a subPathExpr",
      spec: mounting(socketDirectory, { readOnly: true, subPathExpr: "$(X)" }),
      says: "leave out subPath",
    },
    { what: "the socket", spec: mounting("/var/run/sds/uds_path", readOnly, "Socket"), says: below },
    {
      what: "the socket, unless it is there",
      spec: mounting("/run//sds/uds_path", readOnly, "FileOrCreate"),
      says: below,
    },
    { what: "the socket, mounted nowhere", spec: { volumes: [hostPath("/run/sds/uds_path")] }, says: below },
    {
      what: "a file in its place",
      spec: mounting(socketDirectory, readOnly, "FileOrCreate"),
      says: "leave out the type",
    },
    ...["/", "//", "/.", "/var", "/var/run/", "/run", "/var/lib", "/var/lib/kubelet", "/var/lib/kubelet/plugins"].map(
      (path) => ({ what: `the parent ${path}`, spec: mounting(path, readOnly), says: `"${path}": holds /` }),
    ),
    ...["", "/csi.sock"].map((file) => ({
      what: `the agent's directory ${file}`,
      spec: mounting(`/var/lib/kubelet/plugins/csi.signet.dev${file}`, readOnly),
      says: agentOnly,
    })),
    {
      what: "the agent's directory in a trusted namespace",
      spec: mounting("/var/lib/kubelet/plugins/csi.signet.dev"),
      says: agentOnly,
      in: trusted,
    },
    ...["/var/lib/kubelet/pods", "/var/lib/kubelet/pods/x/volumes", "/var/lib/kubelet/plugins_registry"].map(
      (path) => ({
        what: path,
        spec: mounting(path, readOnly),
        says: "leads to the sockets of other pods or to the registration",
      }),
    ),
    ...["/tmp", "/proc/1/root", "/run/containerd", "/var/run/sdsx", "var/run"].map((path) => ({
      what: `the host path ${path}`,
      spec: mounting(path, readOnly),
      says: "label it signet.dev/host-access=trusted",
    })),
    {
      what: "what the agent itself does not need",
      spec: { ...mounting("/var/lib/kubelet/pods/x"), serviceAccountName: "signet-node-agent" },
      says: "leads to the sockets of other pods",
      in: system,
    },
    { what: "a privileged container", spec: privileged(), says: "containers[0].securityContext.privileged" },
    { what: "a dangerous capability", spec: withCapabilities("NET_RAW", "sys_admin"), says: '"NET_RAW,sys_admin"' },
    { what: "all capabilities", spec: withCapabilities("ALL"), says: "capabilities.add" },
    { what: "hostPID", spec: { hostPID: true }, says: "hostPID: Invalid value: true" },
  ])("$what", async ({ spec, says, in: place = namespace }) => {
    expect((await verdict(pod(spec), place)).refusal).toContain(says);
  });

  it("`..`, by the API server itself", async () => {
    const create = runToEnd("kubectl", ["create", "--dry-run=server", "-f", "-"], {
      input: JSON.stringify(pod(mounting("/tmp/../run/sds"))),
    });
    await expect(create).rejects.toThrow("must not contain '..'");
  });
});

describe("later changes", () => {
  it("refuse an ephemeral container that could write where the pod's own cannot, and admit one that cannot", async () => {
    await apply(
      inNamespace(pod({ ...mounting(socketDirectory, { readOnly: true }), ...nowhere }, { name: "debugged" })),
    );
    const path = `/api/v1/namespaces/${namespace}/pods/debugged`;
    const current = await kubectlJson<{ spec: object }>("get", "pod", "debugged", "-n", namespace);
    const add = (readOnly: boolean) => {
      const ephemeral = { name: "debug", image: "debug", volumeMounts: [hostMount({ readOnly })] };
      return runToEnd("kubectl", ["replace", "--raw", `${path}/ephemeralcontainers`, "-f", "-"], {
        input: JSON.stringify({ ...current, spec: { ...current.spec, ephemeralContainers: [ephemeral] } }),
      });
    };
    await expect(add(false)).rejects.toThrow(
      "spec.ephemeralContainers[0].volumeMounts[0].readOnly: Invalid value: false: must be read-only",
    );
    await add(true);
  });

  it("of a pod that is older than the policies: no new image, but labels, and it can be deleted", async () => {
    await patchOlder({ metadata: { labels: { seen: "yes" } } });
    await expect(patchOlder({ spec: { containers: [{ name: "main", image: "other" }] } })).rejects.toThrow(
      "must be read-only",
    );
    await kubectl("delete", "pod", "older", "-n", namespace, "--wait=false");
    await patchOlder({ metadata: { finalizers: null } });
    await until("the pod to be gone", async () => {
      return (await kubectl("get", "pod", "older", "-n", namespace, "--ignore-not-found")) === "";
    });
  });
});

describe("persistent volumes", () => {
  const local = (path: string) => ({
    local: { path },
    nodeAffinity: {
      required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "x", operator: "In", values: ["y"] }] }] },
    },
  });
  it.each([
    { what: "the socket directory", source: { hostPath: { path: "/var/run//sds/" } }, reaches: "/var/run/sds" },
    { what: "what is in it", source: { hostPath: { path: "/run/sds/x" } }, reaches: "/run/sds" },
    { what: "a parent", source: { hostPath: { path: "/var/lib" } }, reaches: "/var/lib/kubelet/pods" },
    { what: "the root directory", source: { hostPath: { path: "/" } }, reaches: "/run/sds" },
    { what: "a local volume", source: local("/run/sds"), reaches: "/run/sds" },
    { what: "a process's root", source: local("/proc/1/root/run/sds"), reaches: "/proc" },
  ])("are refused: $what", async ({ source, reaches }) => {
    const { refusal } = await verdict(persistentVolume(source));
    expect(refusal).toContain("signet-persistent-volumes");
    expect(refusal).toMatch(new RegExp(`must not reach [^;]*${reaches}`));
  });

  it.each([
    { what: "elsewhere on the node", source: { hostPath: { path: "/var/local-path-provisioner/x" } } },
    { what: "local, elsewhere", source: local("/mnt/disks/1") },
    { what: "not on the node", source: { csi: { driver: "example.com", volumeHandle: "x" } } },
  ])("are admitted: $what", async ({ source }) => {
    expect((await verdict(persistentVolume(source))).refusal).toBeUndefined();
  });
});

describe("workloads", () => {
  it.each(workloads(mounting(socketDirectory)).map((workload) => ({ kind: workload.kind, workload })))(
    "$kind: warned early, not refused",
    async ({ kind, workload }) => {
      const { refusal, warnings } = await verdict(workload, namespace);
      expect(refusal).toBeUndefined();
      const at = { PodTemplate: "template.spec", CronJob: "spec.jobTemplate.spec.template.spec" }[kind];
      expect(warnings).toContain(`Warning: Validation failed for ValidatingAdmissionPolicy 'signet-socket-directory'`);
      expect(warnings).toContain(
        `: ${at ?? "spec.template.spec"}.containers[0].volumeMounts[0].readOnly: Invalid value`,
      );
    },
  );

  it.each(workloads(mounting("/var/run")).map((workload) => ({ kind: workload.kind, workload })))(
    "$kind with a parent directory: warned early",
    async ({ workload }) => {
      expect((await verdict(workload, namespace)).warnings).toContain(`"/var/run": holds /var/run/sds`);
    },
  );

  it.each(workloads(mounting(socketDirectory, { readOnly: true })).map((one) => ({ kind: one.kind, one })))(
    "$kind with a read-only mount: no warning",
    async ({ one }) => {
      expect(await verdict(one, namespace)).toEqual({ warnings: expect.not.stringContaining("signet-") });
    },
  );

  it("normal starts; malicious does not, and its ReplicaSet says why", async () => {
    await apply(
      inNamespace(deployment("normal", { containers: [container([], { command: ["sleep", "2147483647"] })] })),
      inNamespace(deployment("malicious", mounting(socketDirectory))),
    );
    await kubectl("rollout", "status", "deployment/normal", "-n", namespace, "--timeout=120s");
    const failed = await until("the ReplicaSet to fail", async () => {
      const lines = (await kubectl("describe", "rs", "-l", "app=malicious", "-n", namespace)).split("\n");
      return lines.find((line) => /Warning\s+FailedCreate/.test(line));
    });
    expect(failed).toContain("spec.containers[0].volumeMounts[0].readOnly: Invalid value: false: must be read-only");
    expect(await kubectl("get", "pods", "-l", "app=malicious", "-n", namespace)).toBe("");
  });
});

function privileged(): PodSpec {
  return { containers: [container([], { securityContext: { privileged: true } })] };
}

function withCapabilities(...add: string[]): PodSpec {
  return { containers: [container([], { securityContext: { capabilities: { add } } })] };
}
