import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { atExit } from "../../support/at-exit.ts";
import { runToEnd } from "../../support/processes.ts";
import { ciNode, kubectl, kubectlJson } from "../kubectl.ts";

const up = join(import.meta.dirname, "up");
const down = join(import.meta.dirname, "down");
const reboot = join(import.meta.dirname, "reboot");

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
  /**
   * Cuts the second node's power: all its processes end at once, and of its files those on disks stay. Before `release`
   * it must be on again.
   * @throws Error when nobody here knows how: the cluster is neither kind's nor CI's
   */
  powerOff(): Promise<void>;
  /** Starts the second node again; its kubelet and its pods take their time after that. */
  powerOn(): Promise<void>;
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
    // kind's nodes are containers of their names; of a stopped one /var stays and /run does not.
    const container = (verb: "kill" | "start") => async () => {
      const context = (await kubectl("config", "current-context")).trim();
      if (!context.startsWith("kind-"))
        throw new Error(`${second} cannot be rebooted: ${context} is no cluster of kind`);
      await runToEnd("docker", [verb, second]);
    };
    return {
      ...{ first, second, loadImages: () => Promise.resolve(), release: () => Promise.resolve() },
      ...{ powerOff: container("kill"), powerOn: container("start") },
    };
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
    powerOff: async () => void (await runToEnd(reboot, ["off"])),
    powerOn: async () => void (await runToEnd(reboot, ["on"])),
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
