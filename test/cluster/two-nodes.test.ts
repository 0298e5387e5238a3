import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { JWK } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SdsClient } from "../agent/sds-client.ts";
import { type RunningAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { requestIdentity } from "../support/certificates.ts";
import { until } from "../support/poll.ts";
import { stopAll } from "../support/processes.ts";
import { ensureBuilt } from "../support/repo.ts";
import { caAudience } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { apply, createToken, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, image, makeNamespaces, runPod } from "./namespaces.ts";
import { type TwoNodes, twoNodes } from "./second-node/nodes.ts";

const namespace = "two-nodes";

let nodes: TwoNodes | undefined;
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await ensureBuilt();
  nodes = await twoNodes(image);
  await makeNamespaces(namespace);
  ours = true;
});

afterAll(async () => {
  await stopAll();
  try {
    if (ours) await deleteNamespaces(namespace);
  } finally {
    await nodes?.release();
  }
});

function nodeOf(which: "first" | "second"): string {
  if (nodes === undefined) throw new Error("there are no two nodes");
  return nodes[which];
}

const pairs = [
  { from: "first", to: "second" },
  { from: "second", to: "first" },
] as const;

describe("pods of two nodes", () => {
  beforeAll(async () => {
    await apply(...echo("first"), ...echo("second"));
    await kubectl("wait", "pod", "-n", namespace, "--all", "--for=condition=Ready", "--timeout=120s");
  });

  /** A pod that tells its name to whoever connects and sends a line, and its Service. */
  const echo = (which: "first" | "second") => {
    const name = `${which}-echo`;
    const answer = ["sh", "-c", "read -r line; cat /etc/hostname"];
    return [
      {
        ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels: { app: name } } },
        spec: {
          nodeName: nodeOf(which),
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              ...{ name: "main", image, imagePullPolicy: "IfNotPresent" },
              command: ["busybox", "nc", "-ll", "-p", "8080", "-e", ...answer],
            },
          ],
        },
      },
      {
        ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace } },
        spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
      },
    ];
  };
  const exec = (which: "first" | "second", ...command: string[]) =>
    kubectl("exec", "-n", namespace, `${which}-echo`, "--", ...command);
  const ask = async (from: "first" | "second", address: string, port: number) =>
    (await exec(from, "sh", "-c", `echo hello | nc -w 5 ${address} ${port}`)).trim();
  const addressOf = async (kind: "pod" | "service", which: "first" | "second") => {
    const { spec, status } = await kubectlJson<{ spec: { clusterIP?: string }; status: { podIP?: string } }>(
      ...["get", kind, `${which}-echo`, "-n", namespace],
    );
    return spec.clusterIP ?? status.podIP ?? "";
  };

  it.each(["first", "second"] as const)("take a command on the %s node", async (which) => {
    expect((await exec(which, "cat", "/etc/hostname")).trim()).toBe(`${which}-echo`);
  });

  it.each(pairs)("reach each other from the $from to the $to node by address", async ({ from, to }) => {
    expect(await ask(from, await addressOf("pod", to), 8080)).toBe(`${to}-echo`);
  });

  it.each(pairs)("reach a Service of the $to node from the $from one by name", async ({ from, to }) => {
    const address = await addressOf("service", to);
    const name = `${to}-echo.${namespace}.svc.cluster.local`;
    await until(`${name} to be known`, async () => (await exec(from, "busybox", "nslookup", name)).includes(address));
    await until(`${name} to answer`, async () => (await ask(from, address, 80)) === `${to}-echo`);
  });
});

describe("node binding", () => {
  let work: WorkFolder;
  let ca: RunningCa;
  const agents = new Map<string, RunningAgent>();

  beforeAll(async () => {
    await runPod(namespace, "first-sleep", nodeOf("first"));
    await runPod(namespace, "second-sleep", nodeOf("second"));
    for (const which of ["first", "second"] as const) await runAgentPod(which);

    work = await makeWorkFolder("2n");
    const { issuer } = JSON.parse(await kubectl("get", "--raw", "/.well-known/openid-configuration")) as {
      issuer: string;
    };
    const keys = JSON.parse(await kubectl("get", "--raw", "/openid/v1/jwks")) as { keys: JWK[] };
    // Our agents have a namespace of their own, so that these tests get along with an installed Signet.
    const nodeBinding = { agents: [`${namespace}/${agentServiceAccount.name}`] };
    ca = await startCaProcess({ folder: work.path, config: { ...caConfig({ issuer, keys }), nodeBinding } });
    for (const which of ["first", "second"] as const) {
      const folder = join(work.path, which);
      await mkdir(folder);
      const nodeToken = join(folder, "agent.token");
      await writeFile(nodeToken, await agentToken(which), { mode: 0o600 });
      agents.set(which, await startAgent({ folder, caUrl: ca.url, nodeToken }));
    }
  });

  afterAll(() => work?.remove());

  const boundToken = (account: string, pod: string) =>
    createToken(
      ...([namespace, account, "--audience", caAudience] as const),
      ...["--bound-object-kind", "Pod", "--bound-object-name", pod],
    );
  const podToken = (which: string) => boundToken(`${which}-sleep`, `${which}-sleep`);
  const agentToken = (which: string) => boundToken(agentServiceAccount.name, `${which}-agent`);
  /** What the agent's DaemonSet has on a node, as far as tokens go. */
  async function runAgentPod(which: "first" | "second"): Promise<void> {
    const name = `${which}-agent`;
    const serviceAccountName = agentServiceAccount.name;
    await apply(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: serviceAccountName, namespace } },
      {
        ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } },
        spec: {
          ...{ serviceAccountName, nodeName: nodeOf(which), terminationGracePeriodSeconds: 0 },
          containers: [{ name: "main", image, imagePullPolicy: "IfNotPresent", command: ["sleep", "2147483647"] }],
        },
      },
    );
    await kubectl("wait", "pod", name, "-n", namespace, "--for=condition=Ready", "--timeout=120s");
  }

  it.each(["first", "second"])("the CA signs for a pod of the %s node at the word of that node's agent", async (on) => {
    const identity = await requestIdentity(ca.url, { pod: await podToken(on), node: await agentToken(on) });
    expect(identity.cert).toContain("BEGIN CERTIFICATE");
  });

  it.each(pairs)("the CA refuses a pod of the $from node at the word of the $to node's agent", async ({ from, to }) => {
    const tokens = { pod: await podToken(from), node: await agentToken(to) };
    await expect(requestIdentity(ca.url, tokens)).rejects.toMatchObject({ status: 403 });
    expect(ca.tail()).toContain("the two tokens are of different nodes");
  });

  it.each(["first", "second"])("the agent's own token alone gets nothing on the %s node", async (on) => {
    const token = await agentToken(on);
    await expect(requestIdentity(ca.url, { pod: token, node: token })).rejects.toMatchObject({ status: 403 });
    await expect(requestIdentity(ca.url, { pod: "", node: token })).rejects.toMatchObject({ status: 401 });
  });

  it.each(["first", "second"])("the agent of the %s node serves a pod of its node", async (on) => {
    const response = await askAgent(on, await podToken(on), (stream) => stream.next());
    expect(response.secrets.map(({ name }) => name)).toEqual(["default"]);
  });

  it.each(pairs)("the agent of the $to node refuses a pod of the $from node", async ({ from, to }) => {
    const end = await askAgent(to, await podToken(from), (stream) => stream.end());
    expect(end).toMatchObject({ code: status.PERMISSION_DENIED, details: expect.stringContaining("another node") });
    expect(await agents.get(to)?.workloads()).not.toContainEqual(expect.objectContaining({ podName: `${from}-sleep` }));
  });

  async function askAgent<T>(
    which: string,
    token: string,
    use: (stream: ReturnType<SdsClient["withToken"]>) => Promise<T>,
  ): Promise<T> {
    const client = new SdsClient(agents.get(which)?.socket ?? "");
    try {
      return await use(client.withToken(token).request({ names: ["default"] }));
    } finally {
      client.close();
    }
  }
});
