import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Kubelet } from "../agent/kubelet.ts";
import { type RunningAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { envoyBinary } from "../support/envoy-binary.ts";
import { clientBootstrap, type EnvoyIdentity, serverBootstrap, spiffeIdOf } from "../support/envoy-config.ts";
import { EnvoyProcess } from "../support/envoy-process.ts";
import { type HttpBackend, startHttpBackend } from "../support/http-backend.ts";
import { istioSecrets, workloadSocketFolder } from "../support/istio-envoy.ts";
import { freePort } from "../support/ports.ts";
import { ensureBuilt } from "../support/repo.ts";
import { makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

const namespace = "foo";

/** A pod of an Istio mesh: our volume where Istio's sidecar looks for it, and the sidecar's Envoy. */
export interface Sidecar {
  readonly name: string;
  readonly pod: PodIdentity;
  readonly spiffeId: string;
  readonly envoy: EnvoyProcess;
}

/** A node with our agent as its CSI driver, and sleep and httpbin with Envoys that are configured as Istio does it. */
export class IstioWorld {
  readonly work: WorkFolder;
  readonly issuer: TokenIssuer;
  readonly node = makeNode("node-1");
  readonly kubelet: Kubelet;
  readonly ca: RunningCa;
  readonly backend: HttpBackend;
  readonly sleep: Sidecar;
  readonly httpbin: Sidecar;
  /** From sleep to httpbin. */
  readonly way: { readonly url: string; readonly from: Sidecar; readonly to: Sidecar };
  readonly inboundPort: number;
  #agent: RunningAgent | undefined;

  private constructor(
    parts: Pick<IstioWorld, "work" | "issuer" | "kubelet" | "ca" | "backend">,
    ports: { admin: [number, number]; inbound: number; outbound: number },
    binary: string,
  ) {
    this.work = parts.work;
    this.issuer = parts.issuer;
    this.kubelet = parts.kubelet;
    this.ca = parts.ca;
    this.backend = parts.backend;
    this.inboundPort = ports.inbound;
    const [sleepAdmin, httpbinAdmin] = ports.admin;
    const httpbinId = spiffeIdOf(namespace, "httpbin");
    this.sleep = this.#sidecar(binary, "sleep", sleepAdmin, (envoy) =>
      clientBootstrap(envoy, [
        { name: "httpbin", listenPort: ports.outbound, targetPort: ports.inbound, spiffeId: httpbinId },
      ]),
    );
    const server = {
      listenPort: ports.inbound,
      backendPort: this.backend.port,
      clients: [spiffeIdOf(namespace, "sleep")],
    };
    this.httpbin = this.#sidecar(binary, "httpbin", httpbinAdmin, (envoy) => serverBootstrap(envoy, server));
    this.way = { url: `http://127.0.0.1:${ports.outbound}`, from: this.sleep, to: this.httpbin };
  }

  /** Agent and CA run, nothing is published yet, no Envoy runs. */
  static async create({ leafTtl }: { readonly leafTtl: string }): Promise<IstioWorld> {
    await ensureBuilt();
    const binary = await envoyBinary();
    const work = await makeWorkFolder("istio");
    const issuer = await TokenIssuer.create();
    const ca = await startCaProcess({ folder: work.path, config: caConfig({ keys: issuer.jwks, leafTtl }) });
    const backend = await startHttpBackend();
    const world = new IstioWorld(
      { work, issuer, kubelet: new Kubelet(work.path), ca, backend },
      { admin: [await freePort(), await freePort()], inbound: await freePort(), outbound: await freePort() },
      binary,
    );
    for (const sidecar of world.sidecars) {
      const secrets = join(world.#root(sidecar.name), workloadSocketFolder, "..");
      await mkdir(secrets, { recursive: true });
      await symlink(world.kubelet.target(world.volumeOf(sidecar.pod)), join(secrets, "workload-spiffe-uds"));
    }
    await world.startAgent();
    return world;
  }

  get sidecars(): readonly Sidecar[] {
    return [this.sleep, this.httpbin];
  }

  /** The socket as it is seen from inside the pod. */
  socketIn(sidecar: Sidecar): string {
    return join(this.#root(sidecar.name), workloadSocketFolder, "socket");
  }

  /** The same of any pod. The kubelet's own path can be too long for a socket. */
  async shortPath(identity: PodIdentity): Promise<string> {
    const link = join(this.work.path, identity.pod.uid);
    await symlink(this.kubelet.target(this.volumeOf(identity)), link);
    return join(link, "socket");
  }

  volumeOf(identity: PodIdentity) {
    const { pod, serviceAccount } = identity;
    return { pod: { namespace: identity.namespace, serviceAccount, podName: pod.name, podUid: pod.uid } };
  }

  newPod(serviceAccount: string): PodIdentity {
    return makePod(namespace, serviceAccount, this.node);
  }

  /** The kubelet mounts the pod's volume, or says again what it said before, with a fresh token. */
  async publish(pod: PodIdentity): Promise<void> {
    await this.kubelet.publish({ ...this.volumeOf(pod), token: await this.issuer.token(pod) });
  }

  async publishAll(): Promise<void> {
    for (const { pod } of this.sidecars) await this.publish(pod);
  }

  async startAgent(): Promise<void> {
    const nodeToken = join(this.work.path, "agent.token");
    const { namespace, name } = agentServiceAccount;
    await this.issuer.writeToken(nodeToken, makePod(namespace, name, this.node));
    const { csiSocket, directory } = this.kubelet;
    this.#agent = await startAgent(
      {
        folder: this.work.path,
        caUrl: this.ca.url,
        nodeToken,
        moreArgs: ["--csi-socket", csiSocket, "--kubelet-dir", directory, "--node-name", this.node.name],
      },
      this.kubelet,
    );
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.sidecars.map(({ envoy }) => envoy.stop()));
    this.kubelet.close();
    await this.stopAgent();
    await this.ca.stop();
    await this.backend.stop();
    await this.work.remove();
  }

  // What is the root directory of the sidecar's container in a pod.
  #root(name: string): string {
    return join(this.work.path, name);
  }

  #sidecar(
    binary: string,
    serviceAccount: string,
    adminPort: number,
    bootstrap: (envoy: EnvoyIdentity) => object,
  ): Sidecar {
    const pod = this.newPod(serviceAccount);
    const name = `${serviceAccount}.${namespace}`;
    const identity = {
      // As pilot-agent makes it up.
      nodeId: `sidecar~127.0.0.1~${pod.pod.name}.${namespace}~${namespace}.svc.cluster.local`,
      nodeCluster: name,
      adminPort,
      secrets: istioSecrets,
    };
    const envoy = new EnvoyProcess({
      ...{ binary, name, folder: this.work.path, adminPort, bootstrap: bootstrap(identity) },
      cwd: this.#root(name),
    });
    return { name, pod, spiffeId: spiffeIdOf(namespace, serviceAccount), envoy };
  }
}
