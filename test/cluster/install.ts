import { chart, helm, namespace } from "../tools/manifests.ts";
import { say, shell, tryShell } from "./shell.ts";

const base = "infra/kubernetes/base";

/** The agent's image under another tag, as `npm run images -- --tag upgrade` makes it: something to upgrade to. */
export const upgradeImage = "docker.io/signet/node-agent:upgrade";

/** Whether what is in the cluster was put there from here. */
let ours = false;

export interface InstallOptions {
  /** For helm: values as `--set` takes them. */
  readonly set?: readonly string[];
}

/**
 * Installs Signet as its README says and waits until both programs are ready.
 * @throws Error when they are not, after showing why; and when there is an installation already
 */
export async function install(way: "kustomize" | "helm", { set = [] }: InstallOptions = {}): Promise<void> {
  const found = await shell(`kubectl get namespace ${namespace} -o name --ignore-not-found`, { quiet: true });
  if (found !== "") throw new Error(`there is a ${namespace} in this cluster already; delete it, then run the tests`);
  ours = true;
  if (way === "kustomize") await shell(`kubectl apply -k ${base}`);
  else {
    await shell(`kubectl apply -f ${base}/namespace.yaml`);
    const values = set.flatMap((value) => ["--set", value]);
    say(`$ helm install signet infra/kubernetes/chart --namespace ${namespace} ${values.join(" ")}`);
    await helm("install", "signet", chart, "--namespace", namespace, ...values);
  }
  const find = `kubectl get deployments,daemonsets -n ${namespace} -l app.kubernetes.io/part-of=signet -o name`;
  for (const what of (await shell(find, { quiet: true })).split("\n").filter(Boolean)) {
    const { code, stderr } = await tryShell(`kubectl rollout status ${what} -n ${namespace} --timeout=180s`);
    if (code === 0) continue;
    await tryShell(`kubectl describe pods -n ${namespace} | tail -60`);
    await tryShell(`kubectl logs -n ${namespace} -l app.kubernetes.io/part-of=signet --tail=20 --prefix`);
    if ((await tryShell(`kubectl describe pods -n ${namespace} | grep -q ErrImage`, { quiet: true })).code === 0) {
      say("are the images on the nodes? npm run images -- --load --tag upgrade");
    }
    throw new Error(`Signet does not get ready: ${stderr}`);
  }
}

/**
 * Takes away again what {@link install} put there, whichever way and however far it got; the namespace too, with the CA's
 * Secrets. An installation that was there before is left alone.
 */
export async function uninstall(): Promise<void> {
  if (!ours) return;
  const release = `kubectl get secret -n ${namespace} -l owner=helm,name=signet -o name --ignore-not-found`;
  if ((await shell(release, { quiet: true })) !== "") {
    await helm("uninstall", "signet", "--namespace", namespace, "--wait");
  }
  await shell(`kubectl delete -k ${base} --ignore-not-found --timeout=120s`, { quiet: true });
}
