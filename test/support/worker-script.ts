import { dirname, join } from "node:path";
import { build } from "esbuild";
import { unstable_readConfig } from "wrangler";
import { repoRoot } from "./repo.ts";

/** The Worker as one script, and what `wrangler.jsonc` says of how it runs. */
export interface WorkerScript {
  readonly script: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: string[];
}

/**
 * Bundles the Worker with the conditions that wrangler bundles with, less its development helpers.
 * @param around a module in place of the Worker's entry, which finds that as `worker`
 */
export async function bundleWorker(around?: string): Promise<WorkerScript> {
  const config = unstable_readConfig({ config: join(repoRoot, "ca-worker/wrangler.jsonc") }, { hideWarnings: true });
  const { main, compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } = config;
  if (main === undefined || compatibilityDate === undefined) {
    throw new Error("ca-worker/wrangler.jsonc lacks main or compatibility_date");
  }
  const { outputFiles } = await build({
    absWorkingDir: dirname(main),
    ...(around === undefined
      ? { entryPoints: [main] }
      : { stdin: { contents: around, resolveDir: dirname(main), loader: "ts" } }),
    alias: { worker: main },
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
  return { script: output.text, compatibilityDate, compatibilityFlags };
}
