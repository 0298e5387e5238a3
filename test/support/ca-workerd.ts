import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CaConfig } from "./ca-config.ts";
import type { RunningCa } from "./ca-process.ts";
import { untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { Program, runToEnd } from "./processes.ts";
import { caProgram, plainEnvironment } from "./repo.ts";

const workerdProgram = fileURLToPath(new URL("workerd-program.ts", import.meta.url));

export interface CaWorkerdOptions {
  /** Folder for the log and for workerd's own temporary files. */
  readonly folder: string;
  /** Its store is made `env:SIGNET_AUTHORITY`. */
  readonly config: CaConfig;
  /** The secret of an earlier run, so that a CA started anew is the same authority. */
  readonly authority?: string;
  readonly port?: number;
  /** More of them, by the name that `env:` locations have. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface WorkerdCa extends RunningCa {
  readonly authority: string;
  readonly port: number;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

/** The CA as a Worker in workerd, ready to sign. */
export async function startCaInWorkerd(options: CaWorkerdOptions): Promise<WorkerdCa> {
  const config = { ...options.config, authority: { store: "env:SIGNET_AUTHORITY" } };
  const authority = options.authority ?? (await makeAuthority(config));
  const port = options.port ?? (await freePort());
  const temporary = join(options.folder, "workerd");
  await mkdir(temporary, { recursive: true });
  const program = await Program.start({
    name: "the CA in workerd",
    command: process.execPath,
    args: [workerdProgram, `${port}`, temporary],
    env: {
      ...plainEnvironment(),
      SIGNET_CONFIG: JSON.stringify(config),
      SIGNET_AUTHORITY: authority,
      SIGNET_SECRETS: JSON.stringify(options.secrets ?? {}),
      // Whatever it leaves when it is killed goes with the folder.
      TMPDIR: temporary,
    },
    logFile: join(options.folder, "workerd.log"),
  });
  const url = `http://127.0.0.1:${port}`;
  await program.ready((giveUp) => untilOk("the CA in workerd", `${url}/readyz`, giveUp));
  return {
    ...{ url, port, authority, pid: program.pid },
    tail: () => program.tail(),
    stop: () => program.stop(),
    kill: () => program.stop("SIGKILL"),
  };
}

/** The authority document, straight from the command's output into memory. */
async function makeAuthority(config: object): Promise<string> {
  const { stdout } = await runToEnd(process.execPath, [caProgram, "authority", "init", "--discard-root-key"], {
    env: { ...plainEnvironment(), SIGNET_CONFIG: JSON.stringify(config) },
  });
  return stdout;
}
