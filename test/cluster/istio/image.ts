import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "../../support/processes.ts";
import { repoRoot } from "../../support/repo.ts";
import { makeWorkFolder } from "../../support/work-folder.ts";
import { meshTemplate } from "./bootstrap.ts";

export const proxyImage = "docker.io/signet-test/istio-proxy:dev";
export const istiodImage = "docker.io/signet-test/istiod:dev";

// CI's own cluster is beside the checkout.
const cluster = join(repoRoot, "../shared/cluster");

/** Istio's programs as they are; these variables name them where CI's cluster does not bring them. */
const programs = {
  "pilot-agent": process.env.SIGNET_TEST_PILOT_AGENT,
  "pilot-discovery": process.env.SIGNET_TEST_PILOT_DISCOVERY,
};

/** Puts the sidecar's image on the cluster's nodes, made as Istio's own, with the Envoy of the Envoy project. */
export async function loadProxyImage(): Promise<void> {
  await loadImage(proxyImage, "pilot-agent", {
    base: "docker.io/envoyproxy/envoy:v1.40-latest",
    files: { "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": await meshTemplate() },
  });
}

/** Puts istiod's image on the cluster's nodes. */
export async function loadIstiodImage(): Promise<void> {
  // Its user must be able to write into /tmp.
  await loadImage(istiodImage, "pilot-discovery", { base: "docker.io/library/debian:bookworm-slim", files: {} });
}

async function loadImage(
  image: string,
  program: keyof typeof programs,
  { base, files }: { readonly base: string; readonly files: Readonly<Record<string, string>> },
): Promise<void> {
  const work = await makeWorkFolder("image");
  try {
    const lines = [`FROM ${base}`, "WORKDIR /"];
    for (const [place, text] of Object.entries(files)) {
      const name = `file-${lines.length}`;
      await writeFile(join(work.path, name), text);
      lines.push(`COPY ${name} ${place}`);
    }
    await copyFile(await find(program), join(work.path, program));
    lines.push(`COPY ${program} /usr/local/bin/${program}`, `ENTRYPOINT ["/usr/local/bin/${program}"]`, "");
    await writeFile(join(work.path, "Dockerfile"), lines.join("\n"));
    const env = { STORAGE_DRIVER: "overlay", ...process.env };
    const build = ["bud", "--quiet", "--isolation", "chroot", "--format", "docker", "--pull=missing", "-t", image];
    await runToEnd("buildah", [...build, work.path], { env });
    const archive = join(work.path, "image.tar");
    await runToEnd("buildah", ["push", "-q", image, `docker-archive:${archive}:${image}`], { env });
    await runToEnd(process.env.SIGNET_IMAGE_LOAD ?? join(cluster, "load"), [archive], { cwd: repoRoot });
  } finally {
    await work.remove();
  }
}

async function find(program: keyof typeof programs): Promise<string> {
  const told = programs[program];
  if (told !== undefined && told !== "") return told;
  return (await runToEnd(join(cluster, "tool"), [program])).stdout.trim();
}
