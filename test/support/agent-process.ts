import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { trustDomain } from "./ca-config.ts";
import { until, untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program } from "./processes.ts";
import { agentProgram, plainEnvironment } from "./repo.ts";

export interface AgentOptions {
  /** Folder for the socket's folder and the log. */
  readonly folder: string;
  readonly caUrl: string;
  /** File with the agent's own token. */
  readonly nodeToken: string;
  readonly moreArgs?: readonly string[];
  /** Another file than the one of this checkout. */
  readonly agent?: string;
  /** Another Node than the one that runs this. */
  readonly node?: string;
  readonly moreEnv?: NodeJS.ProcessEnv;
  /** A program, with arguments, that runs the command line behind them in its own place, as `env -i` does. */
  readonly under?: readonly string[];
}

/** What GET /v1/workloads says of one workload; it says more, which nothing here needs. */
interface AgentWorkload {
  readonly spiffeId: string;
  readonly podName: string;
  readonly podUid: string;
  readonly serialNumber: string;
  readonly notAfter: string;
  readonly streams: number;
}

interface LaunchedAgent {
  readonly socket: string;
  readonly adminUrl: string;
  readonly program: Program;
}

export interface RunningAgent extends LaunchedAgent {
  workloads(): Promise<AgentWorkload[]>;
  stop(): Promise<void>;
}

/** `signet-agent run` as a process that has just begun. */
export async function launchAgent(options: AgentOptions): Promise<LaunchedAgent> {
  const { folder, caUrl, nodeToken, moreArgs = [], agent = agentProgram, moreEnv = {}, under = [] } = options;
  const { node = process.execPath } = options;
  const socketFolder = join(folder, "sds");
  await mkdir(socketFolder, { recursive: true });
  const socket = join(socketFolder, "uds_path");
  const admin = `127.0.0.1:${await freePort()}`;
  const [command = node, ...before] = [...under, node];
  const program = await Program.start({
    name: "signet-agent",
    command,
    args: [
      ...before,
      agent,
      "run",
      ...["--ca-url", caUrl, "--trust-domain", trustDomain, "--socket", socket],
      ...["--node-token", nodeToken, "--admin", admin, ...moreArgs],
    ],
    env: { ...plainEnvironment(), ...moreEnv },
    logFile: join(folder, "signet-agent.log"),
  });
  return { socket, adminUrl: `http://${admin}`, program };
}

/**
 * `signet-agent run`, ready to serve.
 * @param kubelet registers it, where it is a CSI driver
 */
export async function startAgent(
  options: AgentOptions,
  kubelet?: { register(): Promise<unknown> },
): Promise<RunningAgent> {
  const { socket, adminUrl, program } = await launchAgent(options);
  await program.ready(async (giveUp) => {
    if (kubelet !== undefined) await until("the registration", () => kubelet.register(), giveUp);
    await untilOk("the agent", `${adminUrl}/readyz`, giveUp);
  });
  return {
    socket,
    adminUrl,
    program,
    workloads: async () => {
      const response = await fetch(`${adminUrl}/v1/workloads`, { signal: AbortSignal.timeout(5_000) });
      const body: unknown = await response.json();
      if (!response.ok || !Array.isArray(body)) throw new Error(`/v1/workloads answers ${response.status}`);
      return body;
    },
    stop: () => program.stop(),
  };
}
