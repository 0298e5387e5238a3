import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Agent, fetch, type RequestInit as UndiciRequestInit } from "undici";
import type { CaConfig } from "./ca-config.ts";
import { until } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program } from "./processes.ts";
import { caProgram, plainEnvironment } from "./repo.ts";
import { makeServerCertificate } from "./server-certificate.ts";

export interface CaOverTlsOptions {
  /** Folder for the configuration, the certificate, the authority and the log. */
  readonly folder: string;
  readonly config: CaConfig;
  /** Another Node than the one that runs this. */
  readonly node?: string;
}

/** `signet-ca serve` as a process of its own with a certificate from files, asked over HTTP/2. */
export async function startCaOverTls({ folder, config, node = process.execPath }: CaOverTlsOptions) {
  const listen = `127.0.0.1:${await freePort()}`;
  const configFile = join(folder, "signet-ca.json");
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
  const { certificate, key } = makeServerCertificate(folder, "server");
  const program = await Program.start({
    name: "signet-ca",
    command: node,
    args: [
      ...[caProgram, "serve", "--config", configFile, "--listen", listen],
      ...["--tls-cert", certificate, "--tls-key", key],
    ],
    env: plainEnvironment(),
    logFile: join(folder, "signet-ca.log"),
  });
  await program.ready((giveUp) => until("the CA to serve", () => program.tail().includes("is serving on"), giveUp));
  // By ALPN the client takes HTTP/2.
  const dispatcher = new Agent({ allowH2: true, connect: { ca: await readFile(certificate, "utf8") } });
  return {
    fetch: async (path: string, init?: RequestInit) => {
      const answer = await fetch(`https://${listen}${path}`, { ...(init as UndiciRequestInit), dispatcher });
      return answer as unknown as Response;
    },
    url: undefined,
    origin: `https://${listen}`,
    certificate,
    program,
    tail: () => program.tail(),
    async stop() {
      await dispatcher.close();
      await program.stop();
    },
  };
}
