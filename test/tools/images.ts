/**
 * Builds the images of the agent and the CA: `npm run images [-- --load] [--tag NAME]`.
 *   --load      puts them on the nodes of the current cluster: kind's, or by the command in SIGNET_IMAGE_LOAD, which is
 *               given docker-archive files
 *   --tag NAME  another tag for the agent's image besides the version
 * With docker where one runs, else with buildah.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runToEnd } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";
import { readPackage } from "./sbom.ts";

interface Builder {
  readonly name: string;
  build(target: string, image: string): Promise<void>;
  tag(image: string, other: string): Promise<void>;
  save(image: string, file: string): Promise<void>;
  size(image: string): Promise<number>;
}

const dockerfile = "infra/docker/Dockerfile";
const { version } = readPackage(repoRoot);
const run = async (command: string, ...args: string[]) =>
  (await runToEnd(command, args, { cwd: repoRoot, env: { STORAGE_DRIVER: "overlay", ...process.env } })).stdout;
const succeeds = (command: string, ...args: string[]) =>
  run(command, ...args).then(
    () => true,
    () => false,
  );

const docker: Builder = {
  name: "docker",
  build: async (target, image) => {
    await run(
      "docker",
      "build",
      "-q",
      "--target",
      target,
      "--build-arg",
      `VERSION=${version}`,
      "-t",
      image,
      "-f",
      dockerfile,
      ".",
    );
  },
  tag: async (image, other) => void (await run("docker", "tag", image, other)),
  save: async (image, file) => void (await run("docker", "save", "-o", file, image)),
  size: async (image) => Number(await run("docker", "image", "inspect", "-f", "{{.Size}}", image)),
};

const buildah: Builder = {
  name: "buildah",
  build: async (target, image) => {
    await run(
      ...(["buildah", "bud", "--quiet", "--isolation", "chroot", "--format", "docker", "--pull=missing"] as const),
      ...["--target", target, "--build-arg", `VERSION=${version}`, "-t", image, "-f", dockerfile, "."],
    );
  },
  tag: async (image, other) => void (await run("buildah", "tag", image, other)),
  save: async (image, file) => void (await run("buildah", "push", "-q", image, `docker-archive:${file}:${image}`)),
  size: async (image) => {
    const [found] = JSON.parse(await run("buildah", "images", "--json", image)) as { size: string }[];
    const [, number = "0", unit = ""] = /^([\d.]+) ?(\w*)$/.exec(found?.size ?? "") ?? [];
    return Number(number) * ({ KB: 1e3, MB: 1e6, GB: 1e9 }[unit] ?? 1);
  },
};

async function findBuilder(): Promise<Builder> {
  if (await succeeds("docker", "info")) return docker;
  if (await succeeds("buildah", "--version")) return buildah;
  throw new Error("neither a running docker nor buildah is here to build images with; install one of them");
}

/** How an image gets to the nodes of the current cluster. */
async function findLoader(builder: Builder): Promise<(images: readonly string[]) => Promise<void>> {
  const command = process.env.SIGNET_IMAGE_LOAD;
  if (command !== undefined && command !== "") {
    return async (images) => {
      const folder = await mkdtemp(join(tmpdir(), "signet-images-"));
      try {
        for (const image of images) {
          const file = join(folder, "image.tar");
          await rm(file, { force: true });
          await builder.save(image, file);
          await run(command, file);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    };
  }
  const context = (await run("kubectl", "config", "current-context")).trim();
  if (!context.startsWith("kind-")) {
    throw new Error(
      `--load: context ${context} is no kind cluster; name a command that takes docker-archive files in SIGNET_IMAGE_LOAD, ` +
        "or push the images to a registry that the nodes can reach",
    );
  }
  const name = context.slice("kind-".length);
  return async (images) => {
    for (const image of images) await run("kind", "load", "docker-image", image, "--name", name);
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { load: { type: "boolean" }, tag: { type: "string" } } });
  const builder = await findBuilder();
  const images = { agent: `docker.io/signet/node-agent:${version}`, ca: `docker.io/signet/ca:${version}` };
  const made: string[] = [];
  for (const [target, image] of Object.entries(images)) {
    await builder.build(target, image);
    console.log(`${image}: ${Math.round((await builder.size(image)) / 1e6)} MB, made with ${builder.name}`);
    made.push(image);
  }
  if (values.tag !== undefined) {
    const other = images.agent.replace(/:[^:]*$/, `:${values.tag}`);
    await builder.tag(images.agent, other);
    made.push(other);
  }
  if (values.load !== true) return;
  await (await findLoader(builder))(made);
  console.log("on the cluster's nodes");
}

try {
  await main();
} catch (error) {
  console.error(`images: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
