import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { parseConfig } from "@signet/ca/config";
import { caProgram, lambdaBundle } from "../support/repo.ts";

/**
 * Puts the function's bundle into `folder`, with the configuration as `ca.jsonc` and the files that it names; gives their
 * names. What was in the folder before goes.
 * @throws Error with each fault that the configuration has on Lambda
 */
export function packageLambda(configFile: string, folder: string): readonly string[] {
  const checking = ["check-config", "--platform", "lambda", "--config", configFile];
  const checked = spawnSync(process.execPath, [caProgram, ...checking], { encoding: "utf8" });
  if (checked.status !== 0) throw new Error(checked.stderr.trim());
  const config = parseConfig(readFileSync(configFile, "utf8"), configFile);
  for (const { store } of [config.authority, ...config.trustDomains.map(({ authority }) => authority)]) {
    if (!store.startsWith("file:")) continue;
    // Whoever may look at the function may download its package.
    throw new Error(`${configFile}: "${store}" would put a key of the CA into the deployment package; name a secret`);
  }
  const named = [...new Set(filesIn(config))];
  for (const file of named) {
    if (isAbsolute(file) || normalize(file).startsWith("..")) {
      throw new Error(
        `${configFile}: "file:${file}" is not below the configuration's own folder, which is what is packed`,
      );
    }
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copyFileSync(lambdaBundle, join(folder, "index.mjs"));
  copyFileSync(configFile, join(folder, "ca.jsonc"));
  for (const file of named) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyFileSync(join(dirname(configFile), file), join(folder, file));
  }
  return ["index.mjs", "ca.jsonc", ...named];
}

/** The paths of all `file:` locations. */
function filesIn(value: unknown): string[] {
  if (typeof value === "string") return value.startsWith("file:") ? [value.slice("file:".length)] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(filesIn) : [];
}
