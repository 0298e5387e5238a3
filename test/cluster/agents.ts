import { repoRoot } from "../support/repo.ts";
import { readPackage } from "../tools/sbom.ts";
import { kubectl } from "./kubectl.ts";

export const agentImage = `docker.io/signet/node-agent:${readPackage(repoRoot).version}`;

const daemonSet = ["daemonset", "signet-node-agent", "-n", "signet-system"];

/** Takes Signet's agents off every node, or lets them back. */
export async function agents(there: boolean): Promise<void> {
  const nodeSelector = { "signet.dev/nowhere": there ? null : "true" };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await kubectl("patch", ...daemonSet, "--type=merge", "-p", patch);
  if (there) await kubectl("rollout", "status", ...daemonSet, "--timeout=120s");
  else {
    await kubectl(
      ...["wait", "pod", "-n", "signet-system", "-l", "app=signet-node-agent", "--for=delete", "--timeout=120s"],
    );
  }
}
