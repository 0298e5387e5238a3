import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { atExit } from "../../support/at-exit.ts";
import { runToEnd } from "../../support/processes.ts";
import { ciNode, kubectlJson } from "../kubectl.ts";

const up = join(import.meta.dirname, "up");
const down = join(import.meta.dirname, "down");

interface Node {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly effect: string }[];
  };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

/** Two nodes on which pods can run, and a way to put things as they were. */
export interface TwoNodes {
  readonly first: string;
  readonly second: string;
  /** Puts images of the first node on the second one too, if it is not the cluster's own affair. */
  loadImages(...images: string[]): Promise<void>;
  release(): Promise<void>;
}

/**
 * The cluster's own two nodes where it has them; beside the single node of CI's cluster a second one is started, which
 * `release` takes away (and the end of this process does, if `release` was not called).
 * @param images what the second node needs of the first one's images; all of them unless told
 * @throws Error when the cluster has one node and is not CI's
 */
export async function twoNodes(...images: string[]): Promise<TwoNodes> {
  const [first, second] = await usableNodes();
  if (first === undefined) throw new Error("no node of this cluster is Ready and free of taints");
  if (second !== undefined) {
    return { first, second, loadImages: () => Promise.resolve(), release: () => Promise.resolve() };
  }
  if (first !== ciNode || !existsSync(join(dirname(process.env.KUBECONFIG ?? ""), "kubelet.pid"))) {
    throw new Error(
      `this cluster has one node on which pods can run (${first}), and these tests need two: ` +
        "make a kind cluster with a worker more, or use the cluster that CI makes",
    );
  }
  const forget = atExit(() => void spawnSync(down, { stdio: "ignore" }));
  await runToEnd(up, images);
  return {
    first,
    second: "node-2",
    loadImages: async (...more) => void (await runToEnd(up, more)),
    release: async () => {
      await runToEnd(down, []);
      forget();
    },
  };
}

/** Names of the nodes that are Ready and take any pod, in the order of their names. */
async function usableNodes(): Promise<string[]> {
  const { items } = await kubectlJson<{ items: readonly Node[] }>("get", "nodes");
  return items
    .filter(({ spec, status }) => {
      const tainted = spec.taints?.some(({ effect }) => effect !== "PreferNoSchedule") ?? false;
      const ready = status.conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
      return ready && !tainted && spec.unschedulable !== true;
    })
    .map(({ metadata }) => metadata.name)
    .sort();
}
