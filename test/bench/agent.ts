import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AgentOptions, launchAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { cpuSecondsOf, median, rssMibOf } from "./cpu.ts";
import { Sidecars } from "./sidecars.ts";

const sizes = [10, 100, 250, 1_000];
const rounds = 3;
const targets: Readonly<Record<number, string>> = {
  250: "targets 0.6 s, 85 MiB; SPIRE's agent on such a machine: 0.70 s, 92 MiB",
  1000: "targets 2 s, 150 MiB; SPIRE's agent on such a machine: 3.4 to 3.8 s, 187 to 207 MiB",
};
const newPods = 20;
// Renewed between 40 % and 60 % of it, so that nothing is renewed before the last sidecar is served.
const rotationTtl = "40s";

/** The agent with the CA and the sidecars on the same cores. */
export async function benchAgent(): Promise<void> {
  const stage = await Stage.make();
  try {
    console.log("Agent: from process start to all secrets of all sidecars (two streams each)");
    let base: Run | undefined;
    for (const size of sizes) {
      const tokens = await stage.tokens("sidecar", size);
      const runs: Run[] = [];
      for (let round = 0; round < rounds; round++) runs.push(await start(stage, tokens));
      const run = medianOf(runs);
      base ??= run;
      tellStart(size, run, base);
    }
    await tellNewPods(stage);
    await tellRotation(stage);
    await tellLoop(stage);
  } finally {
    await stage.remove();
  }
}

interface Run {
  /** From the start of the process. */
  readonly readySeconds: number;
  readonly seconds: number;
  readonly rssMib: number;
  readonly cpuSeconds: number;
  readonly caCpuSeconds: number;
  /** Of the sidecars, all together: what the machine could not give to the agent. */
  readonly sidecarCpuSeconds: number;
}

async function start(stage: Stage, tokens: readonly string[]): Promise<Run> {
  const { ca } = stage;
  const caBefore = await cpuSecondsOf(ca.pid ?? 0);
  await using running = await stage.launch(tokens);
  const { agent, readySeconds, sidecars, startedAt } = running;
  const own = process.cpuUsage();
  await sidecars.start();
  const seconds = (performance.now() - startedAt) / 1_000;
  const { system, user } = process.cpuUsage(own);
  return {
    readySeconds,
    seconds,
    rssMib: await rssMibOf(agent.pid),
    cpuSeconds: await cpuSecondsOf(agent.pid),
    caCpuSeconds: (await cpuSecondsOf(ca.pid ?? 0)) - caBefore,
    sidecarCpuSeconds: (user + system) / 1e6,
  };
}

function medianOf(runs: readonly Run[]): Run {
  const of = (read: (run: Run) => number) => median(runs.map(read));
  return {
    readySeconds: of((run) => run.readySeconds),
    seconds: of((run) => run.seconds),
    rssMib: of((run) => run.rssMib),
    cpuSeconds: of((run) => run.cpuSeconds),
    caCpuSeconds: of((run) => run.caCpuSeconds),
    sidecarCpuSeconds: of((run) => run.sidecarCpuSeconds),
  };
}

/** @param base the smallest size, whose cost is taken for that of the agent alone */
function tellStart(size: number, run: Run, base: Run): void {
  const [first = 0] = sizes;
  const each = (value: (run: Run) => number) => (value(run) - value(base)) / (size - first);
  const perSidecar =
    size === first
      ? ""
      : `; each sidecar ${(each(({ rssMib }) => rssMib) * 1_024).toFixed(0)} KiB, ` +
        `${(each(({ cpuSeconds }) => cpuSeconds) * 1_000).toFixed(2)} ms CPU`;
  console.log(
    `  ${String(size).padStart(5)} sidecars: ${run.seconds.toFixed(2)} s (ready to serve after ${ms(run.readySeconds)}, target 300 ms); ` +
      `agent ${run.rssMib.toFixed(0)} MiB RSS, ${ms(run.cpuSeconds)} CPU; CA ${ms(run.caCpuSeconds)} CPU, ` +
      `sidecars ${ms(run.sidecarCpuSeconds)} CPU${perSidecar}`,
  );
  const target = targets[size];
  if (target !== undefined) console.log(`        (${target})`);
}

/** A pod that comes to an agent that has served the largest number for a while. */
async function tellNewPods(stage: Stage): Promise<void> {
  const size = sizes.at(-1) ?? 0;
  await using running = await stage.launch(await stage.tokens("sidecar", size));
  const { agent, sidecars, socket } = running;
  await sidecars.start();
  const [cpu, caCpu] = [await cpuSecondsOf(agent.pid), await cpuSecondsOf(stage.ca.pid ?? 0)];
  const seconds: number[] = [];
  for (const token of await stage.tokens("new", newPods)) {
    const pod = new Sidecars([{ socket, token }]);
    const before = performance.now();
    await pod.start();
    seconds.push((performance.now() - before) / 1_000);
    pod.stop();
  }
  const each = (after: number, before: number) => ms((after - before) / newPods);
  console.log(
    `  a new pod beside ${size}: both secrets ${ms(median(seconds))} after it asks, the CA's work included (at most ` +
      `${ms(Math.max(...seconds))}); agent ${each(await cpuSecondsOf(agent.pid), cpu)} CPU, ` +
      `CA ${each(await cpuSecondsOf(stage.ca.pid ?? 0), caCpu)} CPU`,
  );
  console.log("        (target 20 ms and the CA's round trip; SPIRE, from the registration: 3.4 to 6.8 s)");
}

/** Every sidecar gets a new certificate while it is served. */
async function tellRotation(stage: Stage): Promise<void> {
  for (const size of sizes) {
    await using running = await stage.launch(await stage.tokens("sidecar", size), { moreArgs: ["--ttl", rotationTtl] });
    const { agent, sidecars } = running;
    await sidecars.start();
    const [cpu, caCpu] = [await cpuSecondsOf(agent.pid), await cpuSecondsOf(stage.ca.pid ?? 0)];
    await sidecars.untilCertificates(2);
    const used = (await cpuSecondsOf(agent.pid)) - cpu;
    const caUsed = (await cpuSecondsOf(stage.ca.pid ?? 0)) - caCpu;
    console.log(
      `  ${String(size).padStart(5)} rotations: agent ${((used * 1_000) / size).toFixed(2)} ms CPU each, ` +
        `CA ${((caUsed * 1_000) / size).toFixed(2)} ms; ${(await rssMibOf(agent.pid)).toFixed(0)} MiB RSS after them`,
    );
  }
}

/** In a run of its own, because watching costs too. */
async function tellLoop(stage: Stage): Promise<void> {
  const size = sizes.at(-1) ?? 0;
  const file = join(stage.folder, "loop.json");
  const watch = fileURLToPath(new URL("watch-loop.mjs", import.meta.url));
  const moreEnv = { NODE_OPTIONS: `--import ${watch}`, BENCH_LOOP_FILE: file };
  {
    await using running = await stage.launch(await stage.tokens("sidecar", size), { moreEnv });
    await running.sidecars.start();
  }
  const { heapUsed, max, p99 } = JSON.parse(await readFile(file, "utf8")) as Record<string, number>;
  console.log(
    `  event loop with ${size}, from start to end: kept waiting ${p99?.toFixed(1)} ms at the 99th percentile (target 50), ` +
      `${max?.toFixed(0)} ms at most; ${((heapUsed ?? 0) / 2 ** 20).toFixed(0)} MiB of heap in use`,
  );
}

const ms = (seconds: number) => `${(seconds * 1_000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;

interface Running {
  readonly agent: { readonly pid: number };
  readonly sidecars: Sidecars;
  readonly socket: string;
  /** When the agent's process was started, by `performance.now()`. */
  readonly startedAt: number;
  readonly readySeconds: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A CA, and all that an agent needs to start. */
class Stage {
  readonly folder: string;
  readonly ca: RunningCa;
  readonly #issuer: TokenIssuer;
  readonly #nodeToken: string;
  readonly #node = makeNode("node-1");
  readonly #removeFolder: () => Promise<void>;

  private constructor(
    folder: string,
    ca: RunningCa,
    issuer: TokenIssuer,
    nodeToken: string,
    remove: () => Promise<void>,
  ) {
    this.folder = folder;
    this.ca = ca;
    this.#issuer = issuer;
    this.#nodeToken = nodeToken;
    this.#removeFolder = remove;
  }

  static async make(): Promise<Stage> {
    const folder = await makeWorkFolder("bench");
    const issuer = await TokenIssuer.create();
    const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
    const stage = new Stage(folder.path, ca, issuer, join(folder.path, "node-token"), folder.remove);
    const { name, namespace } = agentServiceAccount;
    await issuer.writeToken(stage.#nodeToken, makePod(namespace, name, stage.#node));
    return stage;
  }

  tokens(kind: string, count: number): Promise<string[]> {
    return Promise.all(
      Array.from({ length: count }, (_, n) => this.#issuer.token(makePod("bench", `${kind}-${n}`, this.#node))),
    );
  }

  /** Starts an agent, and resolves when somebody can connect to it. */
  async launch(tokens: readonly string[], more: Partial<AgentOptions> = {}): Promise<Running> {
    const { folder, ca } = this;
    const socketFolder = join(folder, "sds");
    await rm(socketFolder, { recursive: true, force: true });
    // What the sidecars send is made before the time runs.
    const sidecars = new Sidecars(tokens.map((token) => ({ socket: join(socketFolder, "uds_path"), token })));
    const startedAt = performance.now();
    const options = { folder, caUrl: ca.url, nodeToken: this.#nodeToken, ...more };
    const { program, socket } = await launchAgent(options);
    const stop = async () => {
      sidecars.stop();
      await program.stop();
    };
    try {
      await sidecars.untilListening(program.failure);
    } catch (error) {
      await stop();
      throw error;
    }
    const readySeconds = (performance.now() - startedAt) / 1_000;
    return { agent: program, sidecars, socket, startedAt, readySeconds, [Symbol.asyncDispose]: stop };
  }

  async remove(): Promise<void> {
    await this.ca.stop();
    await this.#removeFolder();
  }
}
