import { readFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launchAgent } from "../support/agent-process.ts";
import { untilOk } from "../support/poll.ts";
import type { Program } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";
import { AgentClock } from "./agent-clock.ts";

export interface ChaosAgentOptions {
  readonly folder: string;
  readonly caUrl: string;
  readonly nodeToken: string;
  readonly faketime: string | undefined;
}

/** The built agent as a process to which anything may happen. It keeps its socket's path through all of it. */
export class ChaosAgent {
  readonly clock: AgentClock;
  readonly logFile: string;
  starts = 0;
  readonly #options: ChaosAgentOptions;
  readonly #file: string;
  #program: Program | undefined;
  #adminUrl = "";
  #socket = "";

  private constructor(options: ChaosAgentOptions, file: string) {
    this.#options = options;
    this.#file = file;
    this.clock = new AgentClock(options.folder, options.faketime);
    this.logFile = join(options.folder, "signet-agent.log");
  }

  /** Starts a copy of the build, so that a build during the run changes nothing. */
  static async start(options: ChaosAgentOptions): Promise<ChaosAgent> {
    const source = process.env.SIGNET_CHAOS_AGENT ?? join(repoRoot, "node-agent");
    const copy = join(options.folder, "node-agent");
    await mkdir(copy, { recursive: true });
    for (const part of ["package.json", "bin", "dist/signet-agent.js"]) {
      await cp(join(source, part), join(copy, part), { recursive: true });
    }
    const agent = new ChaosAgent(options, join(copy, "bin/signet-agent.js"));
    await agent.start();
    await untilOk("the agent", `${agent.adminUrl}/readyz`, { giveUp: agent.#running.failure });
    return agent;
  }

  get adminUrl(): string {
    return this.#adminUrl;
  }

  get socket(): string {
    return this.#socket;
  }

  get pid(): number {
    return this.#running.pid;
  }

  /** Starts it and waits until it listens, not for the CA. */
  async start(): Promise<void> {
    const { folder, caUrl, nodeToken } = this.#options;
    const { adminUrl, program, socket } = await launchAgent({
      ...{ folder, caUrl, nodeToken, agent: this.#file, moreEnv: this.clock.environment },
    });
    this.starts++;
    this.#program = program;
    this.#adminUrl = adminUrl;
    this.#socket = socket;
    await untilOk("the agent", `${adminUrl}/healthz`, { every: 20, giveUp: program.failure });
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#program?.stop(signal);
  }

  suspend(): void {
    this.#running.signal("SIGSTOP");
  }

  resume(): void {
    this.#running.signal("SIGCONT");
  }

  /** An error when it is not running although it should be. */
  failure(): Error | undefined {
    return this.#program?.failure();
  }

  /** MiB that are resident now. */
  memory(): number {
    try {
      const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8")) ?? [];
      return Number(kibibytes ?? 0) / 1_024;
    } catch {
      return 0;
    }
  }

  async workloads(): Promise<AgentWorkload[]> {
    return (await this.#get("/v1/workloads").then((text) => JSON.parse(text))) as AgentWorkload[];
  }

  async metrics(): Promise<string> {
    return await this.#get("/metrics");
  }

  async #get(path: string): Promise<string> {
    const response = await fetch(`${this.adminUrl}${path}`, { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`${path} answers ${response.status}`);
    return await response.text();
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error("the agent was not started");
    return this.#program;
  }
}

export interface AgentWorkload {
  readonly podUid: string;
  readonly spiffeId: string;
  readonly serialNumber: string;
  readonly notAfter: string;
  readonly streams: number;
  readonly lastError: unknown;
}
