/** Sockets of single pods on a real kubelet: whatever restarts, in whatever order. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { agents } from "./agents.ts";
import { install, uninstall } from "./install.ts";
import { apply, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";
import { leftOnNode } from "./node-files.ts";
import { restartKubelet } from "./restart-kubelet.ts";

const namespace = "csi";
const socket = "/identity/socket";
const image = "docker.io/library/node:24-bookworm-slim";
/** What the names of this test's volumes start with. */
const ours = "csi-test";
let made = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await install("kustomize");
  await makeNamespaces(namespace);
  made = true;
  await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
});
afterAll(async () => {
  if (!made) return;
  await deleteNamespaces(namespace);
  await uninstall();
});

interface PodOptions {
  readonly readOnly?: boolean;
  readonly volume?: string;
}

/** A pod as the restricted Pod Security Standard wants it, with our volume. */
async function startPod(name: string, { readOnly = true, volume = ours }: PodOptions = {}): Promise<void> {
  await apply({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_534, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          ...{ name: "main", image, imagePullPolicy: "IfNotPresent", command: ["/bin/sleep", "2147483647"] },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          // Not said to be read-only here: what the volume says is enough.
          volumeMounts: [{ name: volume, mountPath: "/identity" }],
        },
      ],
      volumes: [{ name: volume, csi: { driver: "csi.signet.dev", readOnly } }],
    },
  });
}

const isReady = (name: string) =>
  kubectl("wait", `pod/${name}`, "-n", namespace, "--for=condition=Ready", "--timeout=180s");

/** Whether somebody answers on the pod's socket: connecting is refused on a socket that is dead. */
async function answers(name: string): Promise<boolean> {
  const dial = `require("node:net").connect("${socket}").on("connect", () => process.exit(0)).on("error", () => process.exit(1))`;
  return await kubectl("exec", name, "-n", namespace, "--", "node", "-e", dial).then(
    () => true,
    () => false,
  );
}

async function volumesOnNode(): Promise<string[]> {
  return (await leftOnNode()).filter((path) => path.includes(`kubernetes.io~csi/${ours}`));
}

async function eventOf(name: string, words: string): Promise<string> {
  return await until(
    `an event of ${name} that says "${words}"`,
    async () => {
      const { items } = await kubectlJson<{ items: { message: string }[] }>(
        ...["get", "events", "-n", namespace, "--field-selector", `involvedObject.name=${name}`],
      );
      return items.find(({ message }) => message.includes(words))?.message;
    },
    { within: 60_000, every: 500 },
  );
}

describe("a pod's volume", () => {
  it("holds one socket on a read-only file system, which the pod can neither remove nor replace", async () => {
    await startPod("one");
    await isReady("one");
    expect((await kubectl("exec", "one", "-n", namespace, "--", "ls", "-A", "/identity")).trim()).toBe("socket");
    for (const attempt of ["rm -f /identity/socket", "touch /identity/x", "mkdir /identity/socket2"]) {
      await expect(kubectl("exec", "one", "-n", namespace, "--", "sh", "-c", attempt)).rejects.toThrow(
        /Read-only file system/,
      );
    }
    expect(await answers("one")).toBe(true);
  });

  it("can have the longest name that Kubernetes allows", async () => {
    await startPod("long", { volume: ours.padEnd(63, "x") });
    await isReady("long");
    expect(await answers("long")).toBe(true);
  });

  it("must be read-only, and the pod's events say so", async () => {
    await startPod("writable", { readOnly: false });
    expect(await eventOf("writable", "must be read-only")).toContain("readOnly: true");
  });
});

describe("the agent away", () => {
  it("a pod that starts waits, one that is deleted goes, and both are settled when it is back", async () => {
    await startPod("leaving");
    await isReady("leaving");
    await agents(false);
    await startPod("waiting");
    await eventOf("waiting", "csi.signet.dev not found in the list of registered CSI drivers");
    await kubectl("delete", "pod", "leaving", "-n", namespace, "--timeout=60s");
    // Its socket is left for the next agent, so that nothing else can take its place.
    expect(await answers("one")).toBe(false);
    expect((await kubectl("exec", "one", "-n", namespace, "--", "ls", "/identity")).trim()).toBe("socket");

    await agents(true);
    expect(await answers("one")).toBe(true);
    await isReady("waiting");
    await until("the deleted pod's volume to be gone", async () => (await volumesOnNode()).length === 3, {
      within: 180_000,
      every: 2_000,
    });
  });
});

describe("a restart of the kubelet", () => {
  it("changes nothing for pods that run, and pods come and go after it", async () => {
    await restartKubelet();
    await startPod("after");
    await isReady("after");
    expect(await answers("one")).toBe(true);
    expect(await answers("after")).toBe(true);
    await kubectl("delete", "pod", "after", "-n", namespace, "--timeout=60s");
  });
});

describe("at the end", () => {
  it("no volume is left on the node once the pods are gone", async () => {
    await kubectl("delete", "pods", "--all", "-n", namespace, "--timeout=120s");
    await until("no volume", async () => (await volumesOnNode()).length === 0, { within: 180_000, every: 2_000 });
  });
});
