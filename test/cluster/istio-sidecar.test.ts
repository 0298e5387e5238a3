/**
 * Istio's sidecar as it is, with our volume in place of its own and no istiod anywhere. Istio's are the program
 * pilot-agent and how it is started; the image around it, and what stands in for istiod, are ours (see ./istio).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { agentImage, agents } from "./agents.ts";
import { install, uninstall } from "./install.ts";
import { lonelyTemplate, outboundPort, override } from "./istio/bootstrap.ts";
import { loadProxyImage } from "./istio/image.ts";
import { type SidecarPod, sidecarPod } from "./istio/pod.ts";
import { SidecarView, socketPath } from "./istio/view.ts";
import { apply, kubectl, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";

const namespace = "istio-sidecar";
const idOf = (name: string) => `spiffe://cluster.local/ns/${namespace}/sa/${name}`;
const view = (name: string) => new SidecarView(namespace, name);
const [sleep, httpbin] = [view("sleep"), view("httpbin")];
let ours = false;
let roots = "";

beforeAll(async () => {
  await requireThrowAwayCluster();
  await loadProxyImage();
  await install("kustomize");
  await makeNamespaces(namespace);
  ours = true;
  roots = await kubectl(
    "get",
    "configmap",
    "signet-ca-roots",
    "-n",
    "signet-system",
    "-o",
    "jsonpath={.data.roots\\.pem}",
  );
  await apply(
    {
      // istiod's own root, which the sidecar wants to see before it looks for istiod; nobody is there whom it would vouch for.
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "istio-ca-root-cert", namespace } },
      data: { "root-cert.pem": roots },
    },
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "httpbin", namespace } },
      spec: { clusterIP: "None", selector: { app: "httpbin" } },
    },
  );
});
afterAll(async () => {
  if (!ours) return;
  await deleteNamespaces(namespace);
  await uninstall();
});

async function start(pod: Omit<SidecarPod, "namespace">): Promise<SidecarView> {
  const secured = override({ upstream: "httpbin", identities: [idOf("sleep"), idOf("httpbin")] });
  await apply(...sidecarPod({ namespace, template: lonelyTemplate, override: secured, ...pod }));
  return view(pod.name);
}

const found = `Existing workload SDS socket found at ${socketPath.slice(1)}. Default Istio SDS Server will only serve files`;

describe("our volume as workload-socket", () => {
  it("is found healthy by Istio's agent, which then serves files only and asks no CA", async () => {
    for (const name of ["sleep", "httpbin"]) await start({ name, workloadSocket: "signet" });
    for (const sidecar of [sleep, httpbin]) {
      await sidecar.untilReady();
      const log = await sidecar.untilLogged("Starting proxy agent");
      expect(log).toContain(found);
      expect(log).toContain("Skipping connecting to CA");
      expect(log).toContain('Starting SDS server for file certificates only, will listen on "./var/run/secrets/cred');
      expect(log).not.toContain("CA Endpoint");
    }
  });

  it("gives its Envoy `default` and `ROOTCA`", async () => {
    for (const sidecar of [sleep, httpbin]) {
      const secrets = await sidecar.secrets();
      expect(secrets.identity).toBe(`URI:${idOf(sidecar.name)}`);
      expect(secrets.issuer).toContain("Signet");
      expect(secrets.roots.trim()).toBe(roots.trim());
    }
  });

  it("is good for mutual TLS between two sidecars", async () => {
    await until("an answer", () => callHttpbin(), { within: 60_000, every: 500 });
    expect(await callHttpbin()).toContain("HTTP/1.1 200 OK");
    expect(/caller: (.*)/.exec(await callHttpbin())?.[1]?.trim()).toBe(idOf("sleep"));
  });

  it("stays as it is when the sidecar starts anew", async () => {
    const before = await sleep.socketFile();
    await sleep.endProxy();
    await sleep.untilReady();
    await sleep.untilLogged(found);
    expect(await sleep.socketFile()).toBe(before);
    await expect(sleep.inProxy("rm", socketPath)).rejects.toThrow("Read-only file system");
    await until("an answer", () => callHttpbin(), { within: 60_000, every: 500 });
  });
});

describe("our volume while the node's agent is away", () => {
  it("a sidecar that runs goes on; one that starts fails, again and again, and leaves the socket alone", async () => {
    await agents(false);
    try {
      expect(await callHttpbin()).toContain("200 OK");
      await sleep.endProxy();
      const fault = `existing SDS socket could not be removed: remove ${socketPath.slice(1)}: read-only file system`;
      await sleep.untilLogged(fault, { previous: true });
    } finally {
      await agents(true);
    }
    await sleep.untilReady();
    await sleep.untilLogged(found);
    await until("an answer", () => callHttpbin(), { within: 90_000, every: 500 });
  });
});

/** What our volume spares a pod: with a volume that it can write to, Istio's agent goes over to Istio's CA. */
describe("another volume as workload-socket", () => {
  const fallsBack = async (sidecar: SidecarView) => {
    const log = await sidecar.untilLogged("CA Endpoint istiod.istio-system.svc:15012, provider Citadel");
    expect(log).toContain("Starting default Istio SDS Server");
    expect(log).not.toContain("Existing workload SDS socket");
  };

  it("without a socket: the agent serves its own, from Istio's CA, without a word", async () => {
    await fallsBack(await start({ name: "none", workloadSocket: "istio" }));
  });

  it("with a socket that does not answer within a second: the agent removes it and does the same", async () => {
    const listen = `require("node:net").createServer().listen("${socketPath}")`;
    const mute = await start({
      ...{ name: "mute", workloadSocket: "istio" },
      before: { image: agentImage, command: ["/usr/local/bin/node", "-e", listen] },
    });
    await fallsBack(mute);
    // It was root's.
    expect(await mute.socketFile()).toMatch(/^\d+ 1337 /);
  });

  it("without the socket that WORKLOAD_IDENTITY_SOCKET_FILE names: the agent fails and says why", async () => {
    const env = { WORKLOAD_IDENTITY_SOCKET_FILE: "signet" };
    const named = await start({ name: "named", workloadSocket: "istio", env });
    await named.untilLogged("agent configured for non-default SDS socket path");
  });
});

/** From sleep through both Envoys: the answer with its headers, of which httpbin's Envoy made `caller`. */
async function callHttpbin(): Promise<string> {
  return await sleep.inMain(`wget -q -S -O- http://127.0.0.1:${outboundPort}/ 2>&1`);
}
