import { join } from "node:path";
import { type RunningAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { type ClosedDoor, closeDoor } from "../support/closed-door.ts";
import { envoyBinary } from "../support/envoy-binary.ts";
import { Mesh, type MeshOptions } from "../support/mesh.ts";
import { freePort } from "../support/ports.ts";
import { ensureBuilt } from "../support/repo.ts";
import { makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";

/** The CA as a Node process, an agent and a token issuer; meshes of Envoys are added to it. */
export class World {
  readonly folder: string;
  readonly issuer: TokenIssuer;
  readonly node: PodIdentity["node"];
  readonly #startAgent: () => Promise<RunningAgent>;
  readonly #agentPod: PodIdentity;
  readonly #startCa: () => Promise<RunningCa>;
  readonly #undo: (() => Promise<void>)[];
  #agent: RunningAgent;
  #ca: RunningCa;
  #door: ClosedDoor | undefined;

  private constructor(parts: {
    folder: string;
    issuer: TokenIssuer;
    node: PodIdentity["node"];
    agent: RunningAgent;
    startAgent: () => Promise<RunningAgent>;
    agentPod: PodIdentity;
    ca: RunningCa;
    startCa: () => Promise<RunningCa>;
    removeFolder: () => Promise<void>;
  }) {
    this.folder = parts.folder;
    this.issuer = parts.issuer;
    this.node = parts.node;
    this.#agent = parts.agent;
    this.#startAgent = parts.startAgent;
    this.#agentPod = parts.agentPod;
    this.#ca = parts.ca;
    this.#startCa = parts.startCa;
    this.#undo = [parts.removeFolder, () => this.#agent.stop()];
  }

  static async create({
    leafTtl = "1h",
    agentArgs = [],
  }: {
    readonly leafTtl?: string;
    readonly agentArgs?: readonly string[];
  } = {}): Promise<World> {
    await ensureBuilt();
    const work = await makeWorkFolder("e2e");
    const folder = work.path;
    const issuer = await TokenIssuer.create();
    const node = makeNode("e2e-node");
    const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
    const nodeToken = join(folder, "agent.token");
    await issuer.writeToken(nodeToken, agentPod);
    const config = caConfig({ keys: issuer.jwks, leafTtl });
    const port = await freePort();
    const startCa = () => startCaProcess({ folder, config, port });
    const ca = await startCa();
    const startThisAgent = () => startAgent({ folder, caUrl: ca.url, nodeToken, moreArgs: agentArgs });
    return new World({
      ...{ folder, issuer, node, agentPod, ca, startCa },
      agent: await startThisAgent(),
      startAgent: startThisAgent,
      removeFolder: work.remove,
    });
  }

  get agent(): RunningAgent {
    return this.#agent;
  }

  get caUrl(): string {
    return this.#ca.url;
  }

  /** Four Envoys, ready unless told otherwise. */
  async addMesh(label: string, more: Partial<MeshOptions> = {}): Promise<Mesh> {
    const mesh = await Mesh.create({
      folder: join(this.folder, label),
      envoyBinary: await envoyBinary(),
      issuer: this.issuer,
      node: this.node,
      socket: this.agent.socket,
      ...more,
    });
    this.#undo.push(() => mesh.stop());
    await mesh.start();
    return mesh;
  }

  /** What the CA wants to see for a certificate of `serviceAccount`. */
  async tokensFor(namespace: string, serviceAccount: string): Promise<{ pod: string; node: string }> {
    return {
      pod: await this.issuer.token(makePod(namespace, serviceAccount, this.node)),
      node: await this.issuer.token(this.#agentPod),
    };
  }

  /** Another agent on the same socket, which remembers nothing. */
  async restartAgent(): Promise<void> {
    await this.#agent.stop();
    this.#agent = await this.#startAgent();
  }

  /** From now on the CA's port turns everybody away; `knocks` of the door tells that the agent tried. */
  async killCa(): Promise<ClosedDoor> {
    await this.#ca.stop();
    this.#door = await closeDoor(Number(new URL(this.#ca.url).port));
    return this.#door;
  }

  /** The same authority on the same port. */
  async startCaAgain(): Promise<void> {
    await this.#door?.open();
    this.#ca = await this.#startCa();
  }

  async close(): Promise<void> {
    await this.#ca.stop();
    await this.#door?.open();
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) await step();
  }
}
