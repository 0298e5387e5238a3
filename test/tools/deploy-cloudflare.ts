/**
 * Deploys the CA as a Cloudflare Worker: `npm run deploy:cloudflare -- --env NAME [OPTIONS OF wrangler deploy]`.
 *   --env NAME       an environment of ca-worker/wrangler.jsonc
 *   --dry-run        checks and bundles, and uploads nothing
 *   --print-config   prints the environment's SIGNET_CONFIG, for `signet-ca authority` and `signet-ca check-config`
 * The configuration and what it needs of bindings and secrets is checked first, all faults at once; with one, nothing
 * is uploaded. Exit codes: 2 for a fault, else wrangler's own.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { unstable_readConfig } from "wrangler";
import { repoRoot } from "../support/repo.ts";
import { faultsOfWorker, placeholdersOf } from "./worker-config.ts";

const folder = join(repoRoot, "ca-worker");
const { values } = parseArgs({
  options: {
    env: { type: "string", short: "e" },
    "dry-run": { type: "boolean" },
    "print-config": { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
  // The rest is wrangler's.
  strict: false,
  allowPositionals: true,
});
const { env, "dry-run": dryRun = false } = values;
const usage = "npm run deploy:cloudflare -- --env NAME [--dry-run] [--print-config] [OPTIONS OF wrangler deploy]";
if (values.help === true) {
  console.log(usage);
  process.exit(0);
}
if (typeof env !== "string") {
  console.error(
    `deploy:cloudflare: --env NAME is needed: an environment of ca-worker/wrangler.jsonc, such as dev\n${usage}`,
  );
  process.exit(2);
}

if (values["print-config"] === true) {
  console.log(JSON.stringify(read(env).vars.SIGNET_CONFIG, null, 2));
  process.exit(0);
}
const faults = check(env);
for (const fault of faults) console.error(`ca-worker/wrangler.jsonc: env.${env}: ${fault}`);
if (faults.length > 0) process.exit(2);

const wrangler = join(repoRoot, "node_modules/wrangler/bin/wrangler.js");
const { status } = spawnSync(process.execPath, [wrangler, "deploy", ...process.argv.slice(2)], {
  cwd: folder,
  stdio: "inherit",
});
process.exitCode = status ?? 1;

function check(name: string): readonly string[] {
  const worker = read(name);
  const placeholders = placeholdersOf(worker).map((place) => `${place}: put your own name here`);
  if (!dryRun) return [...faultsOfWorker(worker), ...placeholders];
  for (const placeholder of placeholders) console.warn(`before a real deployment: ${placeholder}`);
  return faultsOfWorker(worker);
}

function read(name: string): ReturnType<typeof unstable_readConfig> {
  try {
    return unstable_readConfig({ config: join(folder, "wrangler.jsonc"), env: name }, { hideWarnings: true });
  } catch (error) {
    // It says what is wrong where.
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}
