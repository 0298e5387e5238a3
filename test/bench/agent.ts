import { join } from "node:path";
import { launchAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaProcess } from "../support/ca-process.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { cpuSecondsOf, median, rssMibOf } from "./cpu.ts";
import { Sidecars } from "./sidecars.ts";

const sizes = [10, 100, 250];
const rounds = 3;

/** From the agent's process start until every sidecar has its secrets, with the CA and the sidecars on the same cores. */
export async function benchAgent(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const node = makeNode("node-1");
  const nodeToken = join(folder.path, "node-token");
  await issuer.writeToken(nodeToken, makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
  const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  console.log("Agent: from process start to all secrets of all sidecars (two streams each)");
  try {
    for (const size of sizes) {
      const tokens = await Promise.all(
        Array.from({ length: size }, (_, n) => issuer.token(makePod("bench", `account-${n}`, node))),
      );
      const runs: Run[] = [];
      for (let round = 0; round < rounds; round++) runs.push(await oneRun(folder.path, ca.url, nodeToken, tokens));
      const middle = (read: (run: Run) => number) => median(runs.map(read));
      console.log(
        `  ${String(size).padStart(4)} sidecars: ${middle((run) => run.seconds).toFixed(2)} s${size === 250 ? " (target 0.6 s, 85 MiB)" : ""}; ` +
          `agent ${middle((run) => run.rssMib).toFixed(0)} MiB RSS, ${(middle((run) => run.cpuSeconds) * 1_000).toFixed(0)} ms CPU`,
      );
    }
  } finally {
    await ca.stop();
    await folder.remove();
  }
}

interface Run {
  readonly seconds: number;
  readonly rssMib: number;
  readonly cpuSeconds: number;
}

async function oneRun(folder: string, caUrl: string, nodeToken: string, tokens: readonly string[]): Promise<Run> {
  const start = performance.now();
  const { program: agent, socket } = await launchAgent({ folder, caUrl, nodeToken });
  const sidecars = new Sidecars();
  try {
    await sidecars.start(tokens.map((token) => ({ socket, token })));
    const seconds = (performance.now() - start) / 1_000;
    return { seconds, rssMib: await rssMibOf(agent.pid), cpuSeconds: await cpuSecondsOf(agent.pid) };
  } finally {
    sidecars.stop();
    await agent.stop();
  }
}
