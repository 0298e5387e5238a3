/** An installed Signet on two nodes: sleep and httpbin of foo on the one, those of bar on the other. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { agentServiceAccount } from "../support/ca-config.ts";
import { makeCsr } from "../support/csr.ts";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { Program, runToEnd, stopAll } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";
import { caAudience } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { install, uninstall } from "./install.ts";
import { apply, createToken, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, image, makeNamespaces } from "./namespaces.ts";
import { type TwoNodes, twoNodes } from "./second-node/nodes.ts";

const { namespace: system, name: agentAccount } = agentServiceAccount;
const nodeImage = "docker.io/library/node:24-bookworm-slim";
const socket = "/var/run/sds/uds_path";

/** Each namespace has a node of its own. */
const places = [
  { namespace: "foo", other: "bar", node: "first" },
  { namespace: "bar", other: "foo", node: "second" },
] as const;
type Namespace = (typeof places)[number]["namespace"];

let nodes: TwoNodes;
let installed = false;
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await refuseInstalled();
  await makeNamespaces("foo", "bar");
  ours = true;
  installed = true;
  await install("kustomize");
  const samples = await Promise.all(places.map(({ namespace }) => samplesFor(namespace)));
  const agent = await kubectlJson<{ spec: Spec }>("get", "daemonset", agentAccount, "-n", system);
  const images = [agent, ...samples.flat()].flatMap((manifest) => imagesOf(manifest));
  nodes = await twoNodes(...new Set([image, nodeImage, ...images]));
  for (const [index, { namespace, node }] of places.entries()) {
    await apply(...(samples[index] ?? []).map((manifest) => placed(manifest, nodes[node])));
    await apply(...probe(namespace, nodes[node]));
  }
  await kubectl("rollout", "status", `daemonset/${agentAccount}`, "-n", system, "--timeout=120s");
  for (const { namespace } of places) {
    for (const name of ["sleep", "httpbin"]) {
      await kubectl("rollout", "status", `deployment/${name}`, "-n", namespace, "--timeout=120s");
    }
    await kubectl("wait", "pod/probe", "-n", namespace, "--for=condition=Ready", "--timeout=60s");
  }
});

afterAll(async () => {
  await stopAll();
  try {
    // While there are agents: the kubelets need them to take volumes from pods.
    if (ours) await deleteNamespaces("foo", "bar");
  } finally {
    await nodes?.release();
    if (installed) await uninstall();
  }
});

/** An installation that somebody else made would be taken away in the end. */
async function refuseInstalled(): Promise<void> {
  const found = await kubectl(
    "get",
    `namespace/${system}`,
    "csidriver/csi.signet.dev",
    "--ignore-not-found",
    "-o",
    "name",
  );
  if (found === "") return;
  throw new Error(
    `the cluster has ${found.trim().replaceAll("\n", " and ")} already, and this test installs and removes Signet itself; ` +
      "remove it first: kubectl delete -k infra/kubernetes/base --ignore-not-found",
  );
}

interface Container {
  readonly image: string;
}
interface Workload {
  readonly kind?: string;
  readonly metadata?: { readonly namespace?: string };
  readonly spec?: Spec | undefined;
}
interface Spec {
  readonly template?: {
    readonly spec: { readonly containers: readonly Container[]; readonly initContainers?: readonly Container[] };
  };
}

/** The samples with sockets of single pods, for a namespace. */
async function samplesFor(namespace: Namespace): Promise<Workload[]> {
  const files = ["httpbin", "sleep"].map((name) => join(repoRoot, `infra/kubernetes/samples/csi/${name}.yaml`));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text))
    .map((document): Workload => document.toJS())
    .map((manifest) => ({ ...manifest, metadata: { ...manifest.metadata, namespace } }));
}

function imagesOf({ spec }: Workload): string[] {
  const { containers = [], initContainers = [] } = spec?.template?.spec ?? {};
  return [...containers, ...initContainers].map((container) => container.image);
}

/** A Deployment with its pods on this node; any other object as it is. */
function placed(manifest: Workload, nodeName: string): object {
  const { kind, spec } = manifest;
  if (kind !== "Deployment" || spec?.template === undefined) return manifest;
  return {
    ...manifest,
    spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, nodeName } } },
  };
}

/** A pod that sees its node's shared socket, as a workload in the token form does. */
function probe(namespace: Namespace, nodeName: string): object[] {
  return [
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "probe", namespace } },
      spec: {
        ...{ nodeName, automountServiceAccountToken: false, terminationGracePeriodSeconds: 0 },
        containers: [
          {
            ...{ name: "main", image: nodeImage, imagePullPolicy: "IfNotPresent", command: ["sleep", "2147483647"] },
            volumeMounts: [{ name: "sds", mountPath: "/var/run/sds", readOnly: true }],
          },
        ],
        volumes: [{ name: "sds", hostPath: { path: "/var/run/sds" } }],
      },
    },
  ];
}

interface PodItem {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
}

async function podOf(namespace: string, label: string, node?: string): Promise<PodItem> {
  const { items } = await kubectlJson<{ items: PodItem[] }>(
    ...["get", "pods", "-n", namespace, "-l", label],
    ...(node === undefined ? [] : ["--field-selector", `spec.nodeName=${node}`]),
  );
  const [pod] = items;
  if (pod === undefined) throw new Error(`no pod ${label} in ${namespace}`);
  return pod;
}

const boundToken = (namespace: string, account: string, pod: PodItem) =>
  createToken(
    ...([namespace, account, "--audience", caAudience] as const),
    ...["--bound-object-kind", "Pod", "--bound-object-name", pod.metadata.name],
  );
const sleepToken = async (namespace: Namespace) => boundToken(namespace, "sleep", await podOf(namespace, "app=sleep"));
const agentToken = async (node: "first" | "second") =>
  boundToken(system, agentAccount, await podOf(system, `app=${agentAccount}`, nodes[node]));

describe("mutual TLS between two nodes", () => {
  const pairs = places.flatMap(({ namespace: from }) => places.map(({ namespace: to }) => ({ from, to })));
  const curl = (from: Namespace, ...args: string[]) =>
    kubectl("exec", "deploy/sleep", "-c", "sleep", "-n", from, "--", "curl", "-s", "-m", "10", ...args);

  it("has sleep and httpbin of a namespace on one node, and those of the other on the other", async () => {
    for (const { namespace, node } of places) {
      for (const label of ["app=sleep", "app=httpbin"]) {
        expect((await podOf(namespace, label)).spec.nodeName).toBe(nodes[node]);
      }
    }
  });

  it.each(pairs)("sleep.$from to httpbin.$to: 200", async ({ from, to }) => {
    expect(await curl(from, "-o", "/dev/null", "-w", "%{http_code}", `http://httpbin.${to}:8000/ip`)).toBe("200");
  });

  it.each(pairs)("httpbin.$to knows sleep.$from by its certificate", async ({ from, to }) => {
    const headers = await curl(from, `http://httpbin.${to}:8000/headers`);
    expect(headers).toContain(`URI=spiffe://cluster.local/ns/${from}/sa/sleep`);
  });
});

describe("the CA", () => {
  let work: WorkFolder;
  let ask: (tokens: { pod: string; node: string }) => Promise<{ status: number; body: unknown }>;

  beforeAll(async () => {
    work = await makeWorkFolder("2nm");
    const { data } = await kubectlJson<{ data: Record<string, string> }>(
      ...["get", "configmap", "signet-ca-roots", "-n", system],
    );
    const host = `signet-ca.${system}.svc`;
    const port = await freePort();
    const tunnel = await Program.start({
      ...{ name: "kubectl port-forward", command: "kubectl", logFile: join(work.path, "port-forward.log") },
      args: ["port-forward", "-n", system, "service/signet-ca", `${port}:443`],
    });
    const dispatcher = new Agent({ connect: { ca: data["roots.pem"] ?? "", servername: host } });
    const url = `https://127.0.0.1:${port}`;
    await until("the CA", async () => (await fetch(`${url}/readyz`, { dispatcher })).status === 200, {
      giveUp: tunnel.failure,
    });
    ask = async ({ pod, node }) => {
      const response = await fetch(`${url}/v1/certificates`, {
        ...{ method: "POST", dispatcher, body: JSON.stringify({ csr: makeCsr() }) },
        headers: { "content-type": "application/json", authorization: `Bearer ${pod}`, [nodeTokenHeader]: node },
      });
      return { status: response.status, body: await response.json() };
    };
  });
  afterAll(() => work?.remove());

  it.each(places)("signs for a pod of the $node node at the word of that node's agent", async ({ namespace, node }) => {
    expect(await ask({ pod: await sleepToken(namespace), node: await agentToken(node) })).toMatchObject({
      status: 201,
      body: { spiffeId: `spiffe://cluster.local/ns/${namespace}/sa/sleep` },
    });
  });

  it.each(places)("refuses a pod of the other node at the word of the $node node's agent", async ({ other, node }) => {
    expect(await ask({ pod: await sleepToken(other), node: await agentToken(node) })).toMatchObject({
      status: 403,
      body: { type: "urn:signet:problem:node-not-entitled" },
    });
  });

  it.each(places)("signs nothing for the $node node's agent itself", async ({ node }) => {
    const token = await agentToken(node);
    expect(await ask({ pod: token, node: token })).toMatchObject({ status: 403 });
  });
});

describe("the shared socket", () => {
  const attacker = join(import.meta.dirname, "attacker.mjs");
  /** Asks the agent of the node where `from` is for the identity that a token stands for. */
  async function ask(from: Namespace, token: string): Promise<unknown> {
    const node = ["node", "--input-type=module", "-", "ask", socket, token];
    const { stdout } = await runToEnd("kubectl", ["exec", "-i", "probe", "-n", from, "--", ...node], {
      input: await readFile(attacker, "utf8"),
    });
    return JSON.parse(stdout);
  }

  it.each(places)("of the $node node serves a pod of that node", async ({ namespace }) => {
    expect(await ask(namespace, await sleepToken(namespace))).toMatchObject({
      status: status.OK,
      identity: `URI:spiffe://cluster.local/ns/${namespace}/sa/sleep`,
    });
  });

  it.each(places)("of the $node node refuses a pod of the other node", async ({ namespace, other }) => {
    expect(await ask(namespace, await sleepToken(other))).toMatchObject({
      status: status.PERMISSION_DENIED,
      message: "the token belongs to a pod of another node",
    });
  });
});
