import { caConfig } from "../support/ca-config.ts";
import { startCaProcess } from "../support/ca-process.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { Clients } from "./clients.ts";
import { median } from "./cpu.ts";
import { opensslSeconds } from "./openssl-speed.ts";
import { measureWays, tellWays } from "./ways.ts";
import { Workloads } from "./workloads.ts";

const rounds = 5;

/** Certificates for each core-second of the server process, over HTTP on loopback, beside what openssl could do in it. */
export async function benchCaHttp(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const workloads = await Workloads.make(issuer);
  const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  const clients = new Clients(ca.url);
  const openssl: number[] = [];
  try {
    const costs = await measureWays(ca.pid ?? 0, clients, workloads, rounds, async () => {
      openssl.push(await opensslSeconds());
    });
    console.log(
      "CA: certificates over HTTP, for each core-second of the server process (its own log written to a file)",
    );
    console.log(
      `  openssl speed, rsa2048 verify + ecdsap256 verify + ecdsap256 sign: ${Math.round(1 / median(openssl))} a core-second`,
    );
    tellWays(costs, (seconds, list, way) => {
      const part = median(list.map((cost, round) => (openssl[round] ?? 0) / cost));
      const target = way.startsWith("batch") ? 2_000 : 1_500;
      return `${Math.round(1 / seconds)} (target ${target}), ${part.toFixed(2)} of openssl's (target 0.25)`;
    });
  } finally {
    await clients.close();
    await ca.stop();
    await folder.remove();
  }
}
