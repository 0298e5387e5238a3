import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CaConfig } from "./ca-config.ts";
import { untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program } from "./processes.ts";
import { caProgram, plainEnvironment } from "./repo.ts";

/** A CA that runs, wherever it runs. */
export interface RunningCa {
  readonly url: string;
  readonly pid: number | undefined;
  /** The end of what it has logged. */
  tail(): string;
  stop(): Promise<void>;
}

export interface CaProcessOptions {
  /** Folder for the configuration, the authority and the log. */
  readonly folder: string;
  readonly config: CaConfig;
  /** The same port again after a restart. */
  readonly port?: number;
}

/** `signet-ca serve` as a process of its own, ready to sign. */
export async function startCaProcess({ folder, config, port }: CaProcessOptions): Promise<RunningCa> {
  const listen = `127.0.0.1:${port ?? (await freePort())}`;
  const configFile = join(folder, "signet-ca.json");
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);
  const program = await Program.start({
    name: "signet-ca",
    command: process.execPath,
    args: [caProgram, "serve", "--config", configFile, "--listen", listen],
    env: plainEnvironment(),
    logFile: join(folder, "signet-ca.log"),
  });
  const url = `http://${listen}`;
  await program.ready((giveUp) => untilOk("the CA", `${url}/readyz`, giveUp));
  return {
    url,
    pid: program.pid,
    tail: () => program.tail(),
    stop: () => program.stop(),
  };
}
