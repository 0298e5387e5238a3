import { copyFile, mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { envoyBinary } from "../support/envoy-binary.ts";
import { spiffeIdOf } from "../support/envoy-config.ts";
import { Mesh } from "../support/mesh.ts";
import { freePort } from "../support/ports.ts";
import { ensureBuilt } from "../support/repo.ts";
import { makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { ChaosAgent } from "./agent.ts";
import { findFaketime } from "./agent-clock.ts";
import { Authorities } from "./authorities.ts";
import { CaDoor } from "./ca-door.ts";
import { Invariants, type WatchedPod } from "./invariants.ts";
import type { WrongAnswer } from "./plan.ts";
import type { Random } from "./random.ts";
import { Stranger, Watcher, type WatcherOptions } from "./watcher.ts";
import { AnswerSpoiler } from "./wrong-answers.ts";

/** Renewed after 12 to 18 s: in two minutes as often as a leaf of 150 s in ten. */
const leafTtl = "30s";
/** As short beside the leaf's as the kubelet's shortest, ten minutes, beside an hour. */
const tokenSeconds = 60;

interface TokenFile {
  readonly file: string;
  readonly who: PodIdentity;
  readonly seconds: number;
}

/** All that takes part: a CA behind two doors, an agent, four Envoys, and those who watch what the agent gives out. */
export class Stage {
  readonly folder: string;
  readonly faketime: string | undefined;
  readonly doors: readonly [CaDoor, CaDoor];
  readonly authorities: Authorities;
  /** Wrong answers that the doors have given, by what was wrong with them. */
  readonly lies: ReadonlyMap<WrongAnswer, number>;
  readonly agent: ChaosAgent;
  readonly mesh: Mesh;
  readonly invariants: Invariants;
  readonly watchers: readonly Watcher[];
  readonly stranger: Stranger;
  readonly #parts: Parts;
  readonly #undo: (() => Promise<void>)[];

  private constructor(parts: Parts, undo: (() => Promise<void>)[]) {
    this.#parts = parts;
    this.#undo = undo;
    this.folder = parts.folder;
    this.faketime = parts.faketime;
    this.doors = parts.doors;
    this.authorities = parts.authorities;
    this.lies = parts.lies;
    this.agent = parts.agent;
    this.mesh = parts.mesh;
    this.invariants = parts.invariants;
    this.watchers = parts.watchers;
    this.stranger = parts.stranger;
  }

  static async set(random: Random): Promise<Stage> {
    const undo: (() => Promise<void>)[] = [];
    try {
      return new Stage(await setUp(random, undo), undo);
    } catch (error) {
      await takeDown(undo);
      throw error;
    }
  }

  /** Everybody that the agent serves under a name of its own. */
  get pods(): readonly WatchedPod[] {
    return [...new Map(this.watchers.map(({ pod }) => [pod.uid, pod])).values()];
  }

  /** SDS streams that are open when all is well: two of each Envoy, and those who watch. */
  get expectedStreams(): number {
    return 2 * this.mesh.workloads.length + this.watchers.length;
  }

  /** New tokens for everybody, as the kubelet brings them. */
  async rotateTokens(): Promise<void> {
    const { issuer, tokens } = this.#parts;
    await Promise.all(tokens.map(({ file, who, seconds }) => issuer.writeToken(file, who, { lifetime: seconds })));
  }

  /** Pods that have just been created, each with a stream of its own. */
  async addPods(count: number): Promise<Watcher[]> {
    const { folder, invariants, issuer, node } = this.#parts;
    return await Promise.all(
      Array.from({ length: count }, async () => {
        const who = makePod("foo", "newcomer", node);
        const file = join(folder, `${who.pod.name}.token`);
        await issuer.writeToken(file, who, { lifetime: tokenSeconds });
        return new Watcher({
          ...{ invariants, socket: this.agent.socket, tokenFile: file, names: ["default"] },
          pod: { name: who.pod.name, uid: who.pod.uid, spiffeId: spiffeIdOf("foo", "newcomer") },
        });
      }),
    );
  }

  async restartCa(): Promise<void> {
    await this.#parts.ca.running.stop();
    this.#parts.ca.running = await this.#parts.ca.start();
  }

  /** How to open a stream in the name of the Envoy of this workload. */
  asWorkload(index: number): WatcherOptions {
    const workload = this.mesh.workloads[index];
    if (workload === undefined) throw new RangeError(`there is no workload ${index}`);
    const { name, pod, spiffeId, tokenFile } = workload;
    return {
      socket: this.agent.socket,
      pod: { name, uid: pod.pod.uid, spiffeId },
      names: ["default"],
      invariants: this.invariants,
      tokenFile,
    };
  }

  /** Copies the logs of all programs, which hold no secret. */
  async keepLogs(folder: string): Promise<void> {
    const logs = await readdir(this.folder, { recursive: true });
    await mkdir(folder, { recursive: true });
    for (const log of logs.filter((name) => name.endsWith(".log"))) {
      await copyFile(join(this.folder, log), join(folder, basename(log)));
    }
  }

  async close(): Promise<void> {
    await takeDown(this.#undo);
  }
}

interface Parts {
  readonly folder: string;
  readonly faketime: string | undefined;
  readonly issuer: TokenIssuer;
  readonly node: PodIdentity["node"];
  readonly tokens: readonly TokenFile[];
  readonly ca: { running: RunningCa; readonly start: () => Promise<RunningCa> };
  readonly authorities: Authorities;
  readonly lies: ReadonlyMap<WrongAnswer, number>;
  readonly doors: readonly [CaDoor, CaDoor];
  readonly agent: ChaosAgent;
  readonly mesh: Mesh;
  readonly invariants: Invariants;
  readonly watchers: readonly Watcher[];
  readonly stranger: Stranger;
}

async function setUp(random: Random, undo: (() => Promise<void>)[]): Promise<Parts> {
  await ensureBuilt();
  const binary = await envoyBinary(console.log);
  const { path: folder, remove } = await makeWorkFolder("chaos");
  undo.push(remove);
  const issuer = await TokenIssuer.create();
  const node = makeNode("chaos-node");
  const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
  const nodeToken = { file: join(folder, "agent.token"), who: agentPod, seconds: 3_600 };
  await issuer.writeToken(nodeToken.file, agentPod);

  const authorities = await Authorities.create(join(folder, ".signet/authority.json"), random);
  const config = { ...caConfig({ keys: issuer.jwks, leafTtl }), trustBundle: { refreshHint: "1s" } };
  const port = await freePort();
  const start = () => startCaProcess({ folder, config, port });
  const ca = { running: await start(), start };
  undo.push(() => ca.running.stop());
  const spoiler = new AnswerSpoiler(() => ({ active: authorities.active, unknown: authorities.unknown }));
  const openDoor = async () => {
    const door = await CaDoor.open(() => ca.running.url, spoiler);
    undo.push(() => door.stop());
    return door;
  };
  const doors = [await openDoor(), await openDoor()] as const;

  const faketime = findFaketime();
  const caUrl = doors.map(({ url }) => url).join(",");
  const agent = await ChaosAgent.start({ folder, caUrl, nodeToken: nodeToken.file, faketime });
  undo.push(() => agent.stop());
  const { socket } = agent;
  // Half of the Envoys ask for everything each time, half for what has changed.
  const apiType = { foo: "GRPC", bar: "DELTA_GRPC" } as const;
  const mesh = await Mesh.create({ folder: join(folder, "mesh"), envoyBinary: binary, issuer, node, socket, apiType });
  undo.push(() => mesh.stop());
  await mesh.start();

  // Pods without an Envoy, of the same service accounts as others: the same identity, but never the same key.
  const replicas = Array.from({ length: 8 }, (_, at) =>
    makePod(at % 2 ? "foo" : "bar", at % 4 < 2 ? "sleep" : "httpbin", node),
  ).map((who) => ({
    file: join(folder, `${who.pod.name}.token`),
    who,
    seconds: tokenSeconds,
  }));
  const tokens: TokenFile[] = [
    ...mesh.workloads.map(({ pod, tokenFile }) => ({ file: tokenFile, who: pod, seconds: tokenSeconds })),
    ...replicas,
    nodeToken,
  ];
  await Promise.all(replicas.map(({ file, who }) => issuer.writeToken(file, who, { lifetime: tokenSeconds })));

  const invariants = new Invariants();
  const watch = ({ file, who }: TokenFile, names: readonly string[]) =>
    new Watcher({
      ...{ socket, names, invariants, tokenFile: file },
      pod: {
        name: `${who.serviceAccount}.${who.namespace}/${who.pod.name}`,
        uid: who.pod.uid,
        spiffeId: spiffeIdOf(who.namespace, who.serviceAccount),
      },
    });
  const watchers = tokens
    .filter(({ who }) => who !== agentPod)
    // As Envoy asks, one name on each stream; and both on one.
    .flatMap((one) =>
      replicas.includes(one) ? [watch(one, ["default", "ROOTCA"])] : [watch(one, ["ROOTCA"]), watch(one, ["default"])],
    );
  const forger = await TokenIssuer.create();
  const stranger = new Stranger(socket, () => forger.token(mesh.sleeps[0]?.pod ?? agentPod));
  undo.push(async () => {
    await Promise.all([...watchers, stranger].map((one) => one.stop()));
  });
  return {
    ...{ folder, faketime, issuer, node, tokens, ca, authorities, doors, agent, mesh, invariants, watchers, stranger },
    lies: spoiler.told,
  };
}

async function takeDown(undo: (() => Promise<void>)[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
}
