import { describe, expect, it } from "vitest";
import { until } from "../../support/poll.ts";
import { deleteNamespaces } from "../namespaces.ts";
import { leftOnNode } from "../node-files.ts";
import { chapter, shell } from "../shell.ts";

/** What the agents still have, as infra/kubernetes/README.md tells to look for it. */
const volumes =
  "for agent in $(kubectl get pod -l app=signet-node-agent -n signet-system -o jsonpath={.items..metadata.name}); do " +
  "kubectl get --raw /api/v1/namespaces/signet-system/pods/$agent:15022/proxy/metrics | grep ^signet_agent_csi_volumes; done";

export function cleanUp(step: string): void {
  describe(`${step}. clean-up`, () => {
    it("everything is removed as the task removes it", async () => {
      chapter(`${step}. Clean up`);
      await shell("kubectl delete deployment malicious normal");
      await shell("kubectl delete ns foo bar");
      await deleteNamespaces("mallory");
      // The kubelet needs the driver to let volumes go, and does so a little after their pods are gone.
      await until(
        "no volume to be left",
        async () => /^(?:signet_agent_csi_volumes\S+ 0\n)+$/.test(await shell(volumes)),
        {
          within: 120_000,
          every: 2_000,
        },
      );
      await shell("kubectl delete -k infra/kubernetes/policies/validating-admission-policy");
      await shell("kubectl delete -k infra/kubernetes/base");
      await shell("kubectl apply -k infra/kubernetes/cleanup");
      await shell("kubectl rollout status daemonset/signet-cleanup -n signet-cleanup --timeout=120s");
      await shell("kubectl delete -k infra/kubernetes/cleanup");
    });

    it("nothing of it is left in the API server", async () => {
      const kinds = (await shell("kubectl api-resources --verbs=list -o name", { quiet: true }))
        .split("\n")
        .filter((kind) => kind !== "" && !kind.startsWith("events"));
      const find = `kubectl get ${kinds.join(",")} -A -o name --ignore-not-found | grep -i signet || true`;
      await until("nothing to be left", async () => (await shell(find, { quiet: true })) === "", { within: 60_000 });
    });

    it("nothing of it is left on the node", async () => {
      expect(await leftOnNode()).toEqual([]);
    });
  });
}
