import { beforeAll, describe, expect, it } from "vitest";
import { until } from "../../support/poll.ts";
import { type EnvoyView, envoyOf } from "../envoy-in-pod.ts";
import { upgradeImage } from "../install.ts";
import { chapter, shell } from "../shell.ts";
import { agentPods } from "./names.ts";
import { underLoad } from "./under-load.ts";

const daemonSet = "daemonset/signet-node-agent -n signet-system";
const rolledOut = () => shell(`kubectl rollout status ${daemonSet} --timeout=180s`);
const podUids = () => shell("kubectl get pods -n foo -o jsonpath={.items..metadata.uid}", { quiet: true });

export function rotation(step: string): void {
  describe(`${step}. upgrade and rotation under load`, () => {
    let envoy: EnvoyView;
    let pods: string;

    beforeAll(async () => {
      chapter(`${step}. Upgrade the agent and rotate certificates under load`);
      // The pods before may be on their way out still.
      await until("the pods to be settled", async () => (await podUids()).split(" ").length === 2);
      pods = await podUids();
      envoy = await envoyOf("foo");
    });

    it("the agent's image is upgraded by a rolling update; no request fails", async () => {
      await underLoad(async () => {
        await shell(`kubectl set image ${daemonSet} *=${upgradeImage}`);
        await rolledOut();
      });
      expect(await shell(`kubectl get pod ${agentPods} -o jsonpath={.items..spec.containers[0].image}`)).toBe(
        upgradeImage,
      );
    });

    it("the agent is given a shorter life for certificates, and a fresh one comes with its restart", async () => {
      await underLoad(async () => {
        await shell(`kubectl set env ${daemonSet} SIGNET_TTL=40s`);
        await rolledOut();
        await until("a new certificate", async () => (await envoyOf("foo")).serialNumber !== envoy.serialNumber, {
          within: 180_000,
          every: 1_000,
        });
      });
    });

    it("certificates are replaced while requests flow; no request fails, no Envoy restarts", async () => {
      const seen = new Set<string>();
      await underLoad(async () => {
        await until("three certificates", async () => seen.add((await envoyOf("foo")).serialNumber).size >= 3, {
          within: 120_000,
          every: 1_000,
        });
      });
      await shell(
        `kubectl exec deploy/sleep -c sleep -n foo -- curl -s http://127.0.0.1:15000/stats?filter=ssl_context_update_by_sds`,
      );
    });

    it("all the while no pod was replaced and no Envoy was restarted", async () => {
      const now = await envoyOf("foo");
      expect(await podUids()).toBe(pods);
      expect(now.restartEpoch).toBe(0);
      expect(now.uptimeSeconds).toBeGreaterThan(envoy.uptimeSeconds);
      expect(
        await shell("kubectl get pods -n foo -o jsonpath={.items..status.initContainerStatuses..restartCount}"),
      ).toBe("0 0");
    });
  });
}
