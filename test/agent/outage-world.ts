import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentOptions, launchAgent } from "../support/agent-process.ts";
import { until, untilOk } from "../support/poll.ts";
import type { Program } from "../support/processes.ts";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { SdsClient } from "./sds-client.ts";
import { makePod } from "./world.ts";

export type Launched = Awaited<ReturnType<typeof launchAgent>>;

/** A CA, and agents as processes of their own, which are started, killed and starved by a test. */
export class OutageWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "signet-outage-"));
  readonly ca: ScriptedCa;
  readonly #programs: Program[] = [];
  readonly #clients: SdsClient[] = [];

  private constructor(ca: ScriptedCa) {
    this.ca = ca;
    writeFileSync(this.nodeToken, ca.token(makePod("signet-node-agent", "signet-system")));
  }

  static async start(): Promise<OutageWorld> {
    return new OutageWorld(await ScriptedCa.start());
  }

  get nodeToken(): string {
    return join(this.folder, "node-token");
  }

  /** Starts an agent and does not wait for it; all of them have the same socket. */
  async launch(options: Partial<AgentOptions> = {}): Promise<Launched> {
    const { folder, nodeToken } = this;
    const launched = await launchAgent({ folder, caUrl: this.ca.url, nodeToken, ...options });
    this.#programs.push(launched.program);
    return launched;
  }

  async serving(options: Partial<AgentOptions> = {}): Promise<Launched> {
    const launched = await this.launch(options);
    await untilOk("the agent", `${launched.adminUrl}/readyz`, { giveUp: launched.program.failure });
    return launched;
  }

  client(socket: string): SdsClient {
    const client = new SdsClient(socket);
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#programs.map((program) => program.stop("SIGKILL")));
    await this.ca.stop();
    rmSync(this.folder, { recursive: true });
  }
}

/** A number out of `/metrics`: the sum of all samples of `name`. */
export async function metric({ adminUrl }: Launched, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** What a probe is answered; `reason` is why it fails. */
export async function answer({ adminUrl }: Launched, route: "healthz" | "readyz") {
  const response = await fetch(`${adminUrl}/${route}`);
  const body = (await response.json()) as { readonly reason?: string; readonly status?: string };
  return { status: response.status, reason: body.reason ?? body.status };
}

export const untilLogged = ({ program }: Launched, text: string) =>
  until(`"${text}" in the log`, () => program.tail(1_000).includes(text), { giveUp: program.failure });
