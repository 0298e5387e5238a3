import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  clientBootstrap,
  type SdsApiType,
  serverBootstrap,
  spiffeIdOf,
  type TokenHeader,
  tokenHeaders,
  type Upstream,
} from "./envoy-config.ts";
import { EnvoyProcess } from "./envoy-process.ts";
import { type HttpBackend, startHttpBackend } from "./http-backend.ts";
import { freePort } from "./ports.ts";
import { makePod, type PodIdentity, type TokenIssuer } from "./token-issuer.ts";

const namespaces = ["foo", "bar"] as const;
export type Namespace = (typeof namespaces)[number];

/** A workload: a pod, its token file, its Envoy. */
export interface Workload {
  /** As the task writes it: `sleep.foo`. */
  readonly name: string;
  readonly namespace: Namespace;
  readonly spiffeId: string;
  readonly pod: PodIdentity;
  readonly tokenFile: string;
  readonly envoy: EnvoyProcess;
}

/** A way from one workload to another: what the application in sleep calls. */
export interface Pair {
  readonly from: Workload;
  readonly to: Workload;
  readonly url: string;
}

export interface MeshOptions {
  readonly folder: string;
  readonly envoyBinary: string;
  readonly issuer: TokenIssuer;
  readonly node: PodIdentity["node"];
  readonly socket: string;
  readonly tokenHeader?: TokenHeader;
  /** The same for all, or one for each namespace. */
  readonly apiType?: SdsApiType | Readonly<Record<Namespace, SdsApiType>>;
  readonly nodeMetadata?: object;
  /** What sleep expects httpbin to be, when a test wants it to be wrong. */
  readonly expectedPeer?: (namespace: Namespace) => string;
}

/** Istio's task: sleep and httpbin in the namespaces foo and bar, each with an Envoy, and each sleep calls each httpbin. */
export class Mesh {
  readonly sleeps: readonly Workload[];
  readonly httpbins: readonly Workload[];
  readonly pairs: readonly Pair[];
  /** Ports of the httpbins' Envoys, where only mutual TLS is spoken. */
  readonly inboundPorts: Readonly<Record<Namespace, number>>;
  readonly backend: HttpBackend;
  readonly #options: MeshOptions;

  private constructor(
    options: MeshOptions,
    backend: HttpBackend,
    inboundPorts: Record<Namespace, number>,
    made: { sleeps: Workload[]; httpbins: Workload[]; pairs: Pair[] },
  ) {
    this.#options = options;
    this.backend = backend;
    this.inboundPorts = inboundPorts;
    this.sleeps = made.sleeps;
    this.httpbins = made.httpbins;
    this.pairs = made.pairs;
  }

  /** Lays everything out; {@link start} starts the Envoys. */
  static async create(options: MeshOptions): Promise<Mesh> {
    await mkdir(options.folder, { recursive: true });
    const backend = await startHttpBackend();
    const inboundPorts = { foo: await freePort(), bar: await freePort() };
    const clients = namespaces.map((namespace) => spiffeIdOf(namespace, "sleep"));
    const httpbins: Workload[] = [];
    for (const namespace of namespaces) {
      const server = { listenPort: inboundPorts[namespace], backendPort: backend.port, clients };
      httpbins.push(await makeWorkload(options, namespace, "httpbin", (envoy) => serverBootstrap(envoy, server)));
    }
    const expected = options.expectedPeer ?? ((namespace: Namespace) => spiffeIdOf(namespace, "httpbin"));
    const sleeps: Workload[] = [];
    const pairs: Pair[] = [];
    for (const namespace of namespaces) {
      const upstreams: Upstream[] = [];
      for (const to of httpbins) {
        upstreams.push({
          name: to.name,
          listenPort: await freePort(),
          targetPort: inboundPorts[to.namespace],
          spiffeId: expected(to.namespace),
        });
      }
      const from = await makeWorkload(options, namespace, "sleep", (envoy) => clientBootstrap(envoy, upstreams));
      sleeps.push(from);
      for (const [index, to] of httpbins.entries()) {
        pairs.push({ from, to, url: `http://127.0.0.1:${upstreams[index]?.listenPort}` });
      }
    }
    return new Mesh(options, backend, inboundPorts, { sleeps, httpbins, pairs });
  }

  get workloads(): readonly Workload[] {
    return [...this.sleeps, ...this.httpbins];
  }

  async start(): Promise<void> {
    await this.writeTokens();
    await Promise.all(this.workloads.map(({ envoy }) => envoy.start()));
    await Promise.all(this.workloads.map(({ envoy }) => envoy.untilReady()));
  }

  /** New tokens over the old ones, as the kubelet does when a projected token has lived 80 % of its life. */
  async writeTokens(): Promise<void> {
    const { issuer } = this.#options;
    await Promise.all(this.workloads.map(({ pod, tokenFile }) => issuer.writeToken(tokenFile, pod)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.workloads.map(({ envoy }) => envoy.stop()));
    await this.backend.stop();
  }
}

async function makeWorkload(
  {
    folder,
    envoyBinary,
    node,
    socket,
    tokenHeader = tokenHeaders[0],
    apiType = "GRPC",
    nodeMetadata = {},
  }: MeshOptions,
  namespace: Namespace,
  serviceAccount: string,
  bootstrap: (envoy: Parameters<typeof clientBootstrap>[0]) => object,
): Promise<Workload> {
  const pod = makePod(namespace, serviceAccount, node);
  const name = `${serviceAccount}.${namespace}`;
  const tokenFile = join(folder, `${name}.token`);
  const adminPort = await freePort();
  const identity = {
    nodeId: `${pod.pod.name}.${namespace}`,
    nodeCluster: name,
    apiType: typeof apiType === "string" ? apiType : apiType[namespace],
    ...{ socket, tokenFile, tokenHeader, nodeMetadata, adminPort },
  };
  return {
    name,
    namespace,
    spiffeId: spiffeIdOf(namespace, serviceAccount),
    pod,
    tokenFile,
    envoy: new EnvoyProcess({ binary: envoyBinary, name, folder, adminPort, bootstrap: bootstrap(identity) }),
  };
}
