import { runToEnd } from "../support/processes.ts";
import { chart, namespace } from "../tools/manifests.ts";
import { say, shell, tryShell } from "./shell.ts";

const base = "infra/kubernetes/base";

/** The agent's image under another tag, as `npm run images -- --tag upgrade` makes it: something to upgrade to. */
export const upgradeImage = "docker.io/signet/node-agent:upgrade";

export interface InstallOptions {
  /** For helm: values as `--set` takes them. */
  readonly set?: readonly string[];
}

/**
 * Installs Signet as its README says and waits until both programs are ready.
 * @throws Error when they are not, after showing why
 */
export async function install(way: "kustomize" | "helm", { set = [] }: InstallOptions = {}): Promise<void> {
  if (way === "kustomize") await shell(`kubectl apply -k ${base}`);
  else {
    const values = set.flatMap((value) => ["--set", value]);
    await runToEnd(process.env.HELM ?? "helm", [
      ...["install", "signet", chart, "--namespace", namespace, "--create-namespace", ...values],
    ]);
  }
  const waits = ["deployment/signet-ca", "daemonset/signet-node-agent"].map(
    (what) => `kubectl rollout status ${what} -n ${namespace} --timeout=180s`,
  );
  for (const wait of waits) {
    const { code, stderr } = await tryShell(wait);
    if (code === 0) continue;
    await tryShell(`kubectl describe pods -n ${namespace} | tail -60`);
    await tryShell(`kubectl logs -n ${namespace} -l app.kubernetes.io/part-of=signet --tail=20 --prefix`);
    const { stdout } = await tryShell(`kubectl get pods -n ${namespace} -o jsonpath='{..image}'`, { quiet: true });
    if (!stdout.includes("signet/")) say("are the images on the nodes? npm run images -- --load --tag upgrade");
    throw new Error(`Signet does not get ready: ${stderr}`);
  }
}

/** Takes everything away again, however far the installation came. */
export async function uninstall(): Promise<void> {
  await tryShell(`${process.env.HELM ?? "helm"} uninstall signet --namespace ${namespace} --wait`, { quiet: true });
  await shell(`kubectl delete -k ${base} --ignore-not-found --timeout=120s`, { quiet: true });
}
