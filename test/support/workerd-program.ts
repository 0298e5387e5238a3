/**
 * The Worker as it would be deployed, in workerd, as a process of its own that can be killed: the real entry and
 * `wrangler.jsonc`, with SIGNET_CONFIG and the secret SIGNET_AUTHORITY taken from the environment.
 * Usage: workerd-program.ts PORT TEMPORARY-FOLDER
 */
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import { repoRoot } from "./repo.ts";

const [port, temporary] = process.argv.slice(2);
const { SIGNET_CONFIG: config, SIGNET_AUTHORITY: authority } = process.env;
if (port === undefined || temporary === undefined || config === undefined || authority === undefined) {
  throw new Error("port, temporary folder, SIGNET_CONFIG and SIGNET_AUTHORITY are needed");
}
const worker = unstable_readConfig({ config: join(repoRoot, "ca-worker/wrangler.jsonc") }, { hideWarnings: true });
if (worker.main === undefined || worker.compatibility_date === undefined) {
  throw new Error("ca-worker/wrangler.jsonc lacks main or compatibility_date");
}

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: worker.name ?? "signet-ca",
    host: "127.0.0.1",
    port: Number(port),
    modules: true,
    script: await bundle(worker.main),
    compatibilityDate: worker.compatibility_date,
    compatibilityFlags: worker.compatibility_flags,
    bindings: { SIGNET_CONFIG: config, SIGNET_AUTHORITY: authority },
    // Nothing of this asks the outside world: no request is dressed up with a place on the map.
    cf: false,
    resourceTmpPath: temporary,
    log: new Log(LogLevel.INFO),
    handleStructuredLogs: ({ level, message }) => process.stdout.write(`${level}: ${message}\n`),
  }),
);
await miniflare.ready;

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
