import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repoRoot } from "../support/repo.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// Design §8: a Worker's start is counted in what it has to load.
const maxGzipBytes = 80 * 1024;

describe("the Worker as wrangler would upload it", () => {
  let folder: WorkFolder;
  let bundle: string;
  beforeAll(async () => {
    folder = await makeWorkFolder("bundle");
    const wrangler = join(repoRoot, "node_modules/wrangler/bin/wrangler.js");
    const args = [
      "deploy",
      "--dry-run",
      "--minify",
      "--outdir",
      folder.path,
      "--metafile",
      join(folder.path, "meta.json"),
    ];
    execFileSync(process.execPath, [wrangler, ...args], {
      cwd: join(repoRoot, "ca-worker"),
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true", WRANGLER_LOG_PATH: folder.path },
      stdio: "pipe",
    });
    const [script] = readdirSync(folder.path).filter((name) => name.endsWith(".js"));
    bundle = readFileSync(join(folder.path, script ?? ""), "utf8");
  });
  afterAll(() => folder.remove());

  test("is at most 80 KiB of gzip", () => {
    const size = gzipSync(bundle).length;
    console.log(`Worker bundle: ${(size / 1024).toFixed(1)} KiB gzip`);
    expect(size).toBeGreaterThan(5_000);
    expect(size).toBeLessThanOrEqual(maxGzipBytes);
  });

  test.each([
    "reflect-metadata",
    "tsyringe",
    "asn1js",
    "grpc",
    "prom-client",
    "pino",
    "commander",
    "@hono/node-server",
  ])("has nothing of %s", (name) => {
    const meta = JSON.parse(readFileSync(join(folder.path, "meta.json"), "utf8")) as {
      inputs: Record<string, unknown>;
    };
    const inputs = Object.keys(meta.inputs);
    expect(inputs.some((path) => path.includes("hono/"))).toBe(true);
    expect(inputs.filter((path) => path.includes(`node_modules/${name}`) || path.includes("node-agent/"))).toEqual([]);
  });

  test("imports nothing of Node", () => {
    expect(bundle).not.toMatch(/from\s*["']node:/);
    expect(bundle).not.toMatch(/\brequire\(["']node:/);
  });
});
