/** A node loses its power and comes back: sockets of its pods, and traffic elsewhere meanwhile. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { agentServiceAccount } from "../support/ca-config.ts";
import { until } from "../support/poll.ts";
import { repoRoot } from "../support/repo.ts";
import { install, uninstall } from "./install.ts";
import { apply, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { Load } from "./load.ts";
import { deleteNamespaces, image, makeNamespaces } from "./namespaces.ts";
import { type TwoNodes, twoNodes } from "./second-node/nodes.ts";

const { namespace: system, name: agent } = agentServiceAccount;
/** sleep and an httpbin on the node that stays. */
const staying = "foo";
/** Another httpbin, and all else, on the node that is rebooted. */
const rebooted = "bar";
const volume = "identity";
/** The kubelet publishes volumes again, and finds a driver again, at a pace of its own. */
const atKubeletsPace = { within: 240_000, every: 1_000 };

let nodes: TwoNodes;
let load: Load | undefined;
let ours = false;
let installed = false;
let isOff = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces(staying, rebooted);
  ours = true;
  await install("kustomize");
  installed = true;
  const httpbinImages = [...(await textOf("httpbin")).matchAll(/^ *image: (\S+)$/gm)].map(([, name = ""]) => name);
  const containers = "jsonpath={.spec.template.spec.containers[*].image}";
  nodes = await twoNodes(
    image,
    ...httpbinImages,
    await kubectl("get", "daemonset", agent, "-n", system, "-o", containers),
  );
  await apply(...(await sample("sleep", staying, nodes.first)), ...(await sample("httpbin", staying, nodes.first)));
  await apply(...(await sample("httpbin", rebooted, nodes.second)), bystander(), look());
  await kubectl("rollout", "status", `daemonset/${agent}`, "-n", system, "--timeout=120s");
  for (const namespace of [staying, rebooted]) {
    await kubectl("wait", "pods", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=120s");
  }
});

afterAll(async () => {
  await load?.stop();
  try {
    if (isOff) await nodes.powerOn();
    // While there are agents: the kubelets need them to take volumes from pods.
    if (ours) await deleteNamespaces(staying, rebooted);
  } finally {
    await nodes?.release();
    if (installed) await uninstall();
  }
});

interface Manifest {
  readonly kind?: string;
  readonly metadata?: object;
  readonly spec?: { readonly template?: { readonly spec: object } };
}

const textOf = (name: "httpbin" | "sleep") =>
  readFile(join(repoRoot, `infra/kubernetes/samples/csi/${name}.yaml`), "utf8");

/** A sample with sockets of single pods, its pods on this node. */
async function sample(name: "httpbin" | "sleep", namespace: string, nodeName: string): Promise<object[]> {
  return parseAllDocuments(await textOf(name)).map((document) => {
    const { kind, metadata, spec, ...rest }: Manifest = document.toJS();
    const manifest = { ...rest, kind, metadata: { ...metadata, namespace } };
    if (kind !== "Deployment") return { ...manifest, ...(spec === undefined ? {} : { spec }) };
    const template = { ...spec?.template, spec: { ...spec?.template?.spec, nodeName, tolerations } };
    return { ...manifest, spec: { ...spec, template } };
  });
}

// A node that is away for long gets taints by which its pods would be deleted, and these are to come back.
const tolerations = [{ operator: "Exists" }];

/** A pod of the node that is rebooted. */
function pod(name: string, container: object, volumes: object[]): object {
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: rebooted } },
    spec: {
      ...{ nodeName: nodes.second, tolerations, automountServiceAccountToken: false, terminationGracePeriodSeconds: 0 },
      containers: [
        { name: "main", image, imagePullPolicy: "IfNotPresent", command: ["sleep", "2147483647"], ...container },
      ],
      volumes,
    },
  };
}

/** Has a socket, and is deleted while its node is off. */
const bystander = () =>
  pod("bystander", { volumeMounts: [{ name: volume, mountPath: "/identity" }] }, [
    { name: volume, csi: { driver: "csi.signet.dev", readOnly: true } },
  ]);

/** Sees what the node has on its disk. */
const look = () =>
  pod("look", { volumeMounts: [{ name: "kubelet", mountPath: "/kubelet", readOnly: true }] }, [
    { name: "kubelet", hostPath: { path: "/var/lib/kubelet" } },
  ]);

/** What there is below the directories of CSI volumes on the node, as `<pod's uid>/<volume>/...`, each with its type. */
async function volumesOnDisk(): Promise<string[]> {
  const find =
    'cd /kubelet/pods && for path in $(find */volumes/kubernetes.io~csi -mindepth 1); do if [ -S "$path" ]; then ' +
    'echo "$path=socket"; elif [ -d "$path" ]; then echo "$path=directory"; else echo "$path=file"; fi; done';
  const found = await kubectl("exec", "look", "-n", rebooted, "--", "sh", "-c", find);
  return found.trim().split("\n").filter(Boolean).sort();
}

/** All that there is to be for a pod with a volume: the kubelet's record, and one socket. */
const published = (podUid: string, name: string) =>
  ["=directory", "/mount=directory", "/mount/socket=socket", "/vol_data.json=file"].map(
    (what) => `${podUid}/volumes/kubernetes.io~csi/${name}${what}`,
  );

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses: readonly { readonly restartCount: number }[];
    readonly initContainerStatuses?: readonly { readonly restartCount: number }[];
  };
}

async function podOf(namespace: string, ...selector: string[]): Promise<Pod> {
  const { items } = await kubectlJson<{ items: Pod[] }>("get", "pods", "-n", namespace, ...selector);
  const [only, ...more] = items;
  if (only === undefined || more.length > 0) throw new Error(`${items.length} pods ${selector.join(" ")}`);
  return only;
}
const httpbin = () => podOf(rebooted, "-l", "app=httpbin");
const agentThere = () => podOf(system, "-l", `app=${agent}`, "--field-selector", `spec.nodeName=${nodes.second}`);

/** Ready, in containers that were all started again since. */
function isBack({ status }: Pod): boolean {
  const containers = [...status.containerStatuses, ...(status.initContainerStatuses ?? [])];
  const ready = status.conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
  return ready && containers.every(({ restartCount }) => restartCount > 0);
}

/** What the Envoy beside httpbin presents: a serial number and a SPIFFE ID. */
async function identityOf({ metadata }: Pod): Promise<{ serial: string; id: string }> {
  const ask = 'fetch("http://127.0.0.1:15000/certs").then((answer) => answer.text()).then(console.log)';
  const text = await kubectl("exec", metadata.name, "-c", "httpbin", "-n", rebooted, "--", "node", "-e", ask);
  const { certificates } = JSON.parse(text) as {
    certificates: { cert_chain: { serial_number: string; subject_alt_names: { uri?: string }[] }[] }[];
  };
  const [own] = certificates.flatMap(({ cert_chain }) => cert_chain);
  return { serial: own?.serial_number ?? "", id: own?.subject_alt_names[0]?.uri ?? "" };
}

const curl = (namespace: string, ...args: string[]) =>
  kubectl(
    ...["exec", "deploy/sleep", "-c", "sleep", "-n", staying, "--", "curl", "-s", "-m", "10"],
    ...[...args, `http://httpbin.${namespace}:8000/headers`],
  );

describe("a node that loses its power and comes back", { timeout: 300_000 }, () => {
  let before: { httpbin: Pod; bystander: Pod; agent: Pod; identity: { serial: string; id: string } };
  let poweredOn: number;

  it("served its pods before", async () => {
    expect(await curl(rebooted, "-o", "/dev/null", "-w", "%{http_code}")).toBe("200");
    before = {
      ...{ httpbin: await httpbin(), bystander: await podOf(rebooted, "--field-selector", "metadata.name=bystander") },
      ...{ agent: await agentThere(), identity: await identityOf(await httpbin()) },
    };
    expect(before.identity.id).toBe(`spiffe://cluster.local/ns/${rebooted}/sa/httpbin`);
    expect(await volumesOnDisk()).toEqual(
      [
        ...published(before.httpbin.metadata.uid, "signet-socket"),
        ...published(before.bystander.metadata.uid, volume),
      ].sort(),
    );
    load = await Load.start({ namespace: staying, urls: [`http://httpbin.${staying}:8000/ip`] });
  });

  it("is off and answers nobody, and one of its pods is deleted", async () => {
    isOff = true;
    await nodes.powerOff();
    await expect(curl(rebooted, "-o", "/dev/null", "-f")).rejects.toThrow();
    await kubectl("delete", "pod", "bystander", "-n", rebooted, "--force", "--grace-period=0");
    await load?.untilMore(20);
  });

  it("is Ready again", async () => {
    poweredOn = Date.now();
    await nodes.powerOn();
    isOff = false;
    await until("the node", async () => await isReadySince(poweredOn), atKubeletsPace);
  });

  it("has its agent back, which the kubelet registered again", async () => {
    const { metadata } = await until(
      "the agent",
      async () => {
        const pod = await agentThere();
        return isBack(pod) && pod;
      },
      atKubeletsPace,
    );
    expect(metadata.uid).toBe(before.agent.metadata.uid);
    const readyz = `/api/v1/namespaces/${system}/pods/${metadata.name}:15022/proxy/readyz`;
    expect(JSON.parse(await kubectl("get", "--raw", readyz))).toEqual({ ready: true });
  });

  it("has its pod back, the same one, with an identity", async () => {
    const pod = await until(
      "httpbin",
      async () => {
        const pod = await httpbin();
        return isBack(pod) && pod;
      },
      atKubeletsPace,
    );
    expect(pod.metadata.uid).toBe(before.httpbin.metadata.uid);
    const identity = await identityOf(pod);
    expect(identity.id).toBe(before.identity.id);
    expect(identity.serial).not.toBe(before.identity.serial);
  });

  it("is reached again, by mutual TLS", async () => {
    const headers = await until(
      "200",
      async () => {
        const answer = await curl(rebooted, "-f");
        return answer !== "" && answer;
      },
      atKubeletsPace,
    );
    expect(headers).toContain(`URI=spiffe://cluster.local/ns/${staying}/sa/sleep`);
  });

  it("has on its disk one socket for each pod with a volume, and nothing of the pod that was deleted", async () => {
    const whole = published(before.httpbin.metadata.uid, "signet-socket").sort();
    const gone = async () => (await volumesOnDisk()).length === whole.length;
    await until("the deleted pod's volume to be gone", gone, atKubeletsPace).catch(() => undefined);
    expect(await volumesOnDisk()).toEqual(whole);
  });

  it("disturbed nobody on the other node", async () => {
    await load?.untilMore(20);
    expect(load?.failures).toEqual([]);
  });
});

/** Whether the node is Ready, and its kubelet said something since. */
async function isReadySince(time: number): Promise<boolean> {
  const { spec } = await kubectlJson<{ spec: { renewTime: string } }>(
    ...["get", "lease", nodes.second, "-n", "kube-node-lease"],
  );
  if (Date.parse(spec.renewTime) < time) return false;
  const ready = '{.status.conditions[?(@.type=="Ready")].status}';
  return (await kubectl("get", "node", nodes.second, "-o", `jsonpath=${ready}`)) === "True";
}
