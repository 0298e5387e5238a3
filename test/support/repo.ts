import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runToEnd } from "./processes.ts";

/** The root folder of the checkout, without a slash at its end. */
export const repoRoot = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

export const caProgram = join(repoRoot, "ca-worker/bin/signet-ca.js");
/** The AWS Lambda function as it is built. */
export const lambdaBundle = join(repoRoot, "ca-worker/dist/lambda/index.mjs");
export const agentProgram = join(repoRoot, "node-agent/bin/signet-agent.js");

/** Our environment without what would configure our programs: a test says all of it itself. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:SIGNET|AWS)_/.test(name)));
}

const bundles = ["ca-worker/dist/signet-ca.js", "node-agent/dist/signet-agent.js"];
const sources = ["shared/src", "ca-worker/src", "node-agent/src"];

/** Builds the two programs unless they are newer than all of their sources. */
export async function ensureBuilt(): Promise<void> {
  const built = bundles.map((bundle) => join(repoRoot, bundle));
  if (built.every((bundle) => existsSync(bundle))) {
    const oldest = Math.min(...built.map((bundle) => statSync(bundle).mtimeMs));
    if (sources.every((folder) => newestIn(join(repoRoot, folder)) < oldest)) return;
  }
  await runToEnd(process.execPath, [join(repoRoot, "test/tools/build.ts")]);
}

function newestIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.map((file) => statSync(join(file.parentPath, file.name)).mtimeMs));
}
