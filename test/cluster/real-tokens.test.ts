import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JWK } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { requestIdentity } from "../support/certificates.ts";
import { envoyBinary } from "../support/envoy-binary.ts";
import { clientBootstrap, spiffeIdOf, tokenHeaders } from "../support/envoy-config.ts";
import { EnvoyProcess } from "../support/envoy-process.ts";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { stopAll } from "../support/processes.ts";
import { ensureBuilt } from "../support/repo.ts";
import { caAudience } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { createToken, kubectl, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces, type PodPlace, runPod } from "./namespaces.ts";

const agentNamespace = agentServiceAccount.namespace;
const agentAccount = agentServiceAccount.name;

let work: WorkFolder;
let ca: RunningCa;
let agent: RunningAgent;
let sleep: PodPlace;
let agentPod: PodPlace;
let nodeToken: string;
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await ensureBuilt();
  await makeNamespaces("foo", agentNamespace);
  ours = true;
  agentPod = await runPod(agentNamespace, agentAccount);
  sleep = await runPod("foo", "sleep", agentPod.node);
  nodeToken = await boundToken(agentNamespace, agentAccount, agentPod.name);

  work = await makeWorkFolder("k8s");
  const { issuer } = JSON.parse(await kubectl("get", "--raw", "/.well-known/openid-configuration")) as {
    issuer: string;
  };
  const keys = JSON.parse(await kubectl("get", "--raw", "/openid/v1/jwks")) as { keys: JWK[] };
  ca = await startCaProcess({ folder: work.path, config: caConfig({ issuer, keys }) });
  const nodeTokenFile = join(work.path, "agent.token");
  await writeFile(nodeTokenFile, nodeToken, { mode: 0o600 });
  agent = await startAgent({ folder: work.path, caUrl: ca.url, nodeToken: nodeTokenFile });
});

afterAll(async () => {
  await stopAll();
  await work?.remove();
  if (ours) await deleteNamespaces("foo", agentNamespace);
});

const boundToken = (namespace: string, account: string, pod: string, audience = caAudience) =>
  createToken(
    ...([namespace, account, "--audience", audience] as const),
    ...["--bound-object-kind", "Pod", "--bound-object-name", pod],
  );

async function startEnvoy(name: string, token: string): Promise<EnvoyProcess> {
  const tokenFile = join(work.path, `${name}.token`);
  await writeFile(tokenFile, token, { mode: 0o600 });
  const adminPort = await freePort();
  const upstream = {
    name: "httpbin.foo",
    listenPort: await freePort(),
    targetPort: await freePort(),
    spiffeId: spiffeIdOf("foo", "httpbin"),
  };
  const bootstrap = clientBootstrap(
    {
      ...{ nodeId: `${name}.foo`, nodeCluster: name, socket: agent.socket },
      ...{ tokenFile, tokenHeader: tokenHeaders[0], adminPort },
    },
    [upstream],
  );
  const envoy = new EnvoyProcess({ binary: await envoyBinary(), name, folder: work.path, adminPort, bootstrap });
  await envoy.start();
  return envoy;
}

it("takes an Envoy to its identity with the token that the API server made for its running pod", async () => {
  const envoy = await startEnvoy("sleep", await boundToken("foo", "sleep", sleep.name));
  await envoy.untilReady();
  const shown = await envoy.admin.certificate();
  expect(shown?.spiffeId).toBe("spiffe://cluster.local/ns/foo/sa/sleep");
  expect(await envoy.admin.rootSerials()).toHaveLength(1);
  expect(await agent.workloads()).toEqual([
    expect.objectContaining({
      spiffeId: shown?.spiffeId,
      serialNumber: shown?.serialNumber,
      podName: sleep.name,
      podUid: sleep.uid,
    }),
  ]);
  await envoy.stop();
});

it("gives an Envoy nothing for a token that is bound to no pod", async () => {
  const envoy = await startEnvoy("unbound", await createToken("foo", "sleep", "--audience", caAudience));
  await until("Envoy's streams to be refused", async () => (await envoy.admin.stat("sds.default.update_failure")) > 0);
  expect(await envoy.admin.certificate()).toBeUndefined();
  expect(await envoy.admin.isReady()).toBe(false);
  await envoy.stop();
});

it("signs for the two tokens of one node when the CA is asked directly", async () => {
  const pod = await boundToken("foo", "sleep", sleep.name);
  expect((await requestIdentity(ca.url, { pod, node: nodeToken })).cert).toContain("CERTIFICATE");
});

it.each([
  {
    what: "a pod token bound to no pod",
    status: 401,
    pod: () => createToken("foo", "sleep", "--audience", caAudience),
  },
  {
    what: "a pod token with the API server's own audience",
    status: 401,
    pod: () => createToken("foo", "sleep", "--bound-object-kind", "Pod", "--bound-object-name", sleep.name),
  },
  {
    what: "another service account's token in the place of the agent's",
    status: 403,
    node: () => boundToken("foo", "sleep", sleep.name),
  },
  {
    what: "an agent token bound to no pod",
    status: 401,
    node: () => createToken(agentNamespace, agentAccount, "--audience", caAudience),
  },
])("is refused with $status: $what", async ({ status, pod, node }) => {
  const tokens = {
    pod: pod === undefined ? await boundToken("foo", "sleep", sleep.name) : await pod(),
    node: node === undefined ? nodeToken : await node(),
  };
  await expect(requestIdentity(ca.url, tokens)).rejects.toMatchObject({ status });
});
