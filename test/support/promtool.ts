import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "./processes.ts";
import { repoRoot } from "./repo.ts";

/**
 * Prometheus' own tool for rules and metrics: from PATH, else out of Debian's package `prometheus`, which is unpacked once
 * into the git-ignored `.cache/prometheus/` and never installed, so that no server is started.
 * @throws Error where there is neither
 */
export async function promtoolBinary(): Promise<string> {
  const onPath = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "promtool"));
  const cached = join(repoRoot, ".cache/prometheus/promtool");
  const found = [...onPath, cached].find((file) => existsSync(file));
  if (found !== undefined) return found;
  const folder = join(repoRoot, ".cache/prometheus");
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "fetch-"));
  try {
    const download = () => runToEnd("apt-get", ["download", "-q", "prometheus"], { cwd: work });
    // A machine that has just been made does not know yet what there is.
    await download().catch(async () => {
      await runToEnd("apt-get", ["update", "-q"]);
      await download();
    });
    const [archive] = readdirSync(work).filter((name) => name.endsWith(".deb"));
    if (archive === undefined) throw new Error("apt-get has downloaded nothing");
    await runToEnd("dpkg", ["-x", archive, "unpacked"], { cwd: work });
    // At once there whole: another process may be about to look.
    await rename(join(work, "unpacked/usr/bin/promtool"), cached);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return cached;
}
