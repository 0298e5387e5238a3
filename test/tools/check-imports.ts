/** Runs dependency-cruiser and refuses a run that looked at nothing, which it reports as clean. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
// Far below what there is; it only has to tell a real run from an empty one.
const minModules = 100;

const { status, stdout, stderr } = spawnSync(
  process.execPath,
  [
    "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs",
    "--config",
    ".dependency-cruiser.mjs",
    "shared/src",
    "ca-worker/src",
    "node-agent/src",
  ],
  { cwd: root, encoding: "utf8" },
);
process.stdout.write(stdout);
process.stderr.write(stderr);
const modules = Number(/(\d+) modules/.exec(stdout)?.[1] ?? 0);
if (modules < minModules) {
  process.stderr.write(`dependency-cruiser looked at ${modules} modules only\n`);
  process.exitCode = 1;
} else {
  process.exitCode = status ?? 1;
}
