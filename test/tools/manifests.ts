/**
 * Makes infra/kubernetes/base from the chart, which is the one truth: `npm run manifests`. Needs helm: the program
 * in HELM, else `helm` on PATH, else the one that the CI's cluster brings.
 * With --check it changes nothing and says whether the base is as the chart makes it.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { parse } from "yaml";
import { runToEnd } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";

export const chart = join(repoRoot, "infra/kubernetes/chart");
const base = join(repoRoot, "infra/kubernetes/base");
export const namespace = "signet-system";
/** Of the CI's cluster, beside the checkout. */
const clusterTool = join(repoRoot, "../shared/cluster/tool");

const notice = "# Made from ../chart by `npm run manifests`; change it there.\n";
const namespaceManifest = `${notice}apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
  labels:
    app.kubernetes.io/part-of: signet
    # hostPath volumes are privileged in the sense of the Pod Security Standards; nothing else here is.
    pod-security.kubernetes.io/enforce: privileged
`;

/** Runs helm; gives its standard output. @throws Error with what helm says, or when there is no helm */
export async function helm(...args: readonly string[]): Promise<string> {
  return (await runToEnd(await findHelm(), args)).stdout;
}

async function findHelm(): Promise<string> {
  const { HELM = "", PATH = "" } = process.env;
  if (HELM !== "") return HELM;
  const onPath = PATH.split(delimiter).map((folder) => join(folder, "helm"));
  const found = onPath.find((file) => existsSync(file));
  if (found !== undefined) return found;
  if (existsSync(clusterTool)) return (await runToEnd(clusterTool, ["helm"])).stdout.trim();
  throw new Error("helm is not here; install it, or say in the variable HELM where it is");
}

/** What `helm template` makes of the chart; the newest version whose API servers know nothing that others do not. */
export async function renderChart(...more: string[]): Promise<string> {
  return await helm("template", "signet", chart, "--namespace", namespace, "--kube-version", "1.34.0", ...more);
}

/** The files of the kustomize base by name. */
export async function makeBase(): Promise<ReadonlyMap<string, string>> {
  const files = new Map([["namespace.yaml", namespaceManifest]]);
  for (const text of (await renderChart()).split(/^---$/m)) {
    const manifest = text.replace(/^# Source: .*\n/gm, "").trim();
    const object = parse(manifest) as { kind: string; metadata: { name: string } } | null;
    if (object === null) continue;
    files.set(`${object.metadata.name}.${object.kind.toLowerCase()}.yaml`, `${notice}${manifest}\n`);
  }
  const resources = [...files.keys()].map((name) => `  - ${name}\n`).join("");
  const header = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
  return files.set("kustomization.yaml", `${notice}${header}resources:\n${resources}`);
}

export async function readBase(): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(base).catch(() => []);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(base, name), "utf8")] as const)),
  );
}

if (import.meta.main) {
  const made = await makeBase();
  const there = await readBase();
  const names = new Set([...made.keys(), ...there.keys()]);
  const changed = [...names].filter((name) => made.get(name) !== there.get(name));
  if (!process.argv.includes("--check")) {
    await rm(base, { recursive: true, force: true });
    await mkdir(base, { recursive: true });
    for (const [name, text] of made) await writeFile(join(base, name), text);
  }
  for (const name of changed) console.log(`infra/kubernetes/base/${name} differs from the chart`);
  if (process.argv.includes("--check") && changed.length > 0) process.exitCode = 1;
}
