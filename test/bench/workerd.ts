import { caConfig } from "../support/ca-config.ts";
import { startCaInWorkerd } from "../support/ca-workerd.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { Clients } from "./clients.ts";
import { descendantOf } from "./cpu.ts";
import { measureWays, tellWays } from "./ways.ts";
import { Workloads } from "./workloads.ts";

const rounds = 5;

/** CPU of the workerd process for each certificate: the Worker's, and that of the runtime's own HTTP around it. */
export async function benchWorkerd(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const workloads = await Workloads.make(issuer);
  const ca = await startCaInWorkerd({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  const clients = new Clients(ca.url);
  try {
    const pid = await descendantOf(ca.pid ?? 0, "workerd");
    const costs = await measureWays(pid, clients, workloads, rounds, async () => {});
    console.log("CA in workerd: CPU of the whole process for each certificate, its HTTP included (target 2 ms)");
    tellWays(costs, (seconds) => `${(seconds * 1_000).toFixed(2)} ms`);
  } finally {
    await clients.close();
    await ca.stop();
    await folder.remove();
  }
}
