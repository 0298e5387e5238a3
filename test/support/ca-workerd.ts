import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import type { CaConfig } from "./ca-config.ts";
import type { RunningCa } from "./ca-process.ts";
import { untilOk } from "./poll.ts";
import { freePort } from "./ports.ts";
import { runToEnd } from "./processes.ts";
import { caProgram, repoRoot } from "./repo.ts";

/** The secret binding that the Worker reads its authority document from. */
const authoritySecret = "SIGNET_AUTHORITY";

export interface CaWorkerdOptions {
  /** Folder for the log and for workerd's own temporary files. */
  readonly folder: string;
  /** Its store is made `env:SIGNET_AUTHORITY`. */
  readonly config: CaConfig;
  /** The secret of an earlier run, so that a CA started anew is the same authority. */
  readonly authority?: string;
  readonly port?: number;
}

export interface WorkerdCa extends RunningCa {
  readonly authority: string;
  readonly port: number;
}

/** The Worker as it would be deployed, in workerd: the real entry, `wrangler.jsonc`, a variable and a secret. */
export async function startCaInWorkerd(options: CaWorkerdOptions): Promise<WorkerdCa> {
  const config = { ...options.config, authority: { store: `env:${authoritySecret}` } };
  const authority = options.authority ?? (await makeAuthority(config));
  const port = options.port ?? (await freePort());
  const logFile = join(options.folder, "workerd.log");
  writeFileSync(logFile, "", { flag: "a", mode: 0o600 });
  const temporary = join(options.folder, "workerd");
  await mkdir(temporary, { recursive: true });
  const worker = unstable_readConfig({ config: join(repoRoot, "ca-worker/wrangler.jsonc") }, { hideWarnings: true });
  if (worker.main === undefined || worker.compatibility_date === undefined) {
    throw new Error("ca-worker/wrangler.jsonc lacks main or compatibility_date");
  }
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: worker.name ?? "signet-ca",
      host: "127.0.0.1",
      port,
      modules: true,
      script: await bundle(worker.main),
      compatibilityDate: worker.compatibility_date,
      compatibilityFlags: worker.compatibility_flags,
      bindings: { SIGNET_CONFIG: JSON.stringify(config), [authoritySecret]: authority },
      // Nothing of this asks the outside world: no request is dressed up with a place on the map.
      cf: false,
      resourceTmpPath: temporary,
      log: new FileLog(logFile),
      handleStructuredLogs: ({ level, message }) => appendFileSync(logFile, `${level}: ${message}\n`),
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  const stop = () => miniflare.dispose();
  try {
    await miniflare.ready;
    await untilOk("the CA in workerd", `${url}/readyz`);
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
  return {
    url,
    port,
    authority,
    pid: undefined,
    tail: () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n"),
    stop,
  };
}

/** The authority document, straight from the command's output into memory. */
async function makeAuthority(config: object): Promise<string> {
  const { stdout } = await runToEnd(process.execPath, [caProgram, "authority", "init", "--discard-root-key"], {
    env: { ...process.env, SIGNET_CONFIG: JSON.stringify(config) },
  });
  return stdout;
}

/** With the conditions that wrangler bundles with, less its development helpers. */
async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: dirname(entry),
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "warning",
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error("the Worker's bundle is empty");
  return output.text;
}

class FileLog extends Log {
  readonly #file: string;

  constructor(file: string) {
    super(LogLevel.INFO);
    this.#file = file;
  }

  override log(message: string): void {
    appendFileSync(this.#file, `${message}\n`);
  }
}
