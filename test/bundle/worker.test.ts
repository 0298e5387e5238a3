import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unstable_readConfig } from "wrangler";
import { repoRoot } from "../support/repo.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { faultsOfWorker, placeholdersOf } from "../tools/worker-config.ts";

// Design §8: a Worker's start is counted in what it has to load.
const maxGzipBytes = 80 * 1024;
const environments = ["dev", "staging", "production"];

/** All that may be in the Worker. What is new here costs every isolate's start: weigh it first. */
const packages = ["@valibot/to-json-schema", "hono", "jose", "jsonc-parser", "valibot"];
const sources = [
  /^\.\.\/shared\/src\//,
  /^src\/[a-z-]+\.(?:ts|json)$/,
  /^src\/(?:audit|authenticate|authorize|compose|config|openapi|rate-limit|repeat|request|respond|routes|sign)\//,
  // Of the authorities what reads them, not what makes them.
  /^src\/authority\/[a-z-]+\.ts$/,
  // How a secret of AWS is called, for the configuration; not what reads one.
  /^src\/aws\/secret-name\.ts$/,
  /^src\/entry\/(?:cloudflare\/[a-z-]+|cloudflare|timer)\.ts$/,
];

const wrangler = join(repoRoot, "node_modules/wrangler/bin/wrangler.js");
const folder = join(repoRoot, "ca-worker");
const run = promisify(execFile);
const readWorker = (env: string) =>
  unstable_readConfig({ config: join(folder, "wrangler.jsonc"), env }, { hideWarnings: true });

let work: WorkFolder;
let generatedTypes: string;
beforeAll(async () => {
  work = await makeWorkFolder("bundle");
  generatedTypes = join(work.path, "worker.d.ts");
  await Promise.all([
    runWrangler("types", generatedTypes, "--strict-vars=false"),
    ...environments.map((env) => {
      const out = join(work.path, env);
      return runWrangler("deploy", "--dry-run", "--env", env, "--outdir", out, "--metafile", join(out, "meta.json"));
    }),
  ]);
});
afterAll(() => work.remove());

/** wrangler, without an account and without telling anybody. */
async function runWrangler(...args: string[]): Promise<string> {
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true", WRANGLER_LOG_PATH: work.path };
  return (await run(process.execPath, [wrangler, ...args], { cwd: folder, env })).stdout;
}

const readBundle = (env: string) => readFileSync(join(work.path, env, "cloudflare.js"), "utf8");

describe("every environment of wrangler.jsonc", () => {
  test("is known to these tests", () => {
    expect(readWorker("dev").definedEnvironments).toEqual(environments);
  });

  test.each(environments)("%s has a configuration that the Worker starts with, its bindings and secrets", (name) => {
    const worker = readWorker(name);
    expect(faultsOfWorker(worker)).toEqual([]);
    // As it stands it is a template, and says so before anybody deploys it.
    expect(placeholdersOf(worker)).not.toEqual([]);
    expect(worker.preview_urls).toBe(false);
    // Request headers hold tokens.
    expect(worker.observability?.logs?.invocation_logs).toBe(false);
  });

  test("gives the Worker types that its own idea of the bindings agrees with", async () => {
    // The Worker itself, which these also name, is held against this project's own types.
    const types = readFileSync(generatedTypes, "utf8").replace(/^.*\btypeof import\(.*$/m, "");
    writeFileSync(generatedTypes, types);
    const check = join(work.path, "check.ts");
    const bindings = join(folder, "src/entry/cloudflare/bindings.ts");
    writeFileSync(
      check,
      [
        `import type { AnalyticsDataset, KvNamespace, Queue as OwnQueue, RateLimitBinding } from "${bindings}";`,
        "declare const env: Cloudflare.ProductionEnv;",
        "export const kv: KvNamespace = env.SIGNET_KV;",
        "export const queue: OwnQueue = env.AUDIT_QUEUE;",
        "export const figures: AnalyticsDataset = env.AUDIT_FIGURES;",
        "export const rates: readonly RateLimitBinding[] = [env.NODE_RATE, env.ISSUER_RATE];",
        "export const authority: string = env.SIGNET_AUTHORITY;",
      ].join("\n"),
    );
    const tsc = join(repoRoot, "node_modules/.bin/tsc");
    const options = [
      "--ignoreConfig",
      "--noEmit",
      "--strict",
      "--allowImportingTsExtensions",
      "--target",
      "es2023",
      "--types",
      "",
    ];
    await run(tsc, [...options, "--module", "preserve", "--skipLibCheck", generatedTypes, check]).catch((error) => {
      throw new Error((error as { stdout: string }).stdout);
    });
  });
});

describe("the Worker as wrangler would upload it", () => {
  let bundle: string;
  let inputs: readonly string[];
  beforeAll(() => {
    const out = join(work.path, "production");
    bundle = readBundle("production");
    const meta = JSON.parse(readFileSync(join(out, "meta.json"), "utf8")) as {
      outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }>;
    };
    inputs = Object.values(meta.outputs).flatMap((output) =>
      Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
    );
  });

  test("is the same in each environment, and at most 80 KiB of gzip", () => {
    const size = gzipSync(bundle).length;
    console.log(`Worker bundle: ${(size / 1024).toFixed(1)} KiB gzip`);
    expect(size).toBeGreaterThan(5_000);
    expect(size).toBeLessThanOrEqual(maxGzipBytes);
    for (const env of environments) expect(readBundle(env) === bundle, env).toBe(true);
  });

  test("has nothing in it that is not meant for it", () => {
    const allowed = (path: string) => {
      const [, name] = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      return name === undefined ? sources.some((pattern) => pattern.test(path)) : packages.includes(name);
    };
    expect(inputs.filter((path) => !allowed(path))).toEqual([]);
    expect(inputs.some((path) => path.includes("node_modules/hono/"))).toBe(true);
    expect(inputs).toContain("src/issue.ts");
  });

  test("imports nothing of Node", () => {
    expect(bundle).not.toMatch(/from\s*["']node:/);
    expect(bundle).not.toMatch(/\brequire\(["']node:/);
  });
});
