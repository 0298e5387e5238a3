import { describe, expect, it } from "vitest";
import { chapter, shell } from "../shell.ts";
import { agentPods, fourRequests, fourTimes200 } from "./names.ts";
import { underLoad } from "./under-load.ts";

export function restart(step: string): void {
  describe(`${step}. the agents' restart`, () => {
    it("mutual TLS works the whole time while the agents are deleted and come back", async () => {
      chapter(`${step}. Restart the agents`);
      await underLoad(async (more) => {
        await more(20);
        await shell(`kubectl delete pod ${agentPods}`);
        await shell("kubectl rollout status daemonset/signet-node-agent -n signet-system --timeout=120s");
        await more(20);
      });
      expect(await shell(`kubectl get pod ${agentPods}`)).toMatch(/1\/1 +Running/);
      expect(await shell(fourRequests)).toBe(fourTimes200);
    });
  });
}
