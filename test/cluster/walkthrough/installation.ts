import { describe, expect, it } from "vitest";
import { install } from "../install.ts";
import { chapter, shell } from "../shell.ts";
import { agentPods } from "./names.ts";

const samples = "infra/kubernetes/samples";

export function installation(step: string): void {
  describe(`${step}. install`, () => {
    it("the CA and the node agent", async () => {
      chapter(`${step}. Install Signet, and sleep and httpbin with mutual TLS in foo and bar`);
      await install("kustomize");
      expect(await shell(`kubectl get pod ${agentPods}`)).toContain("Running");
    });

    it("sleep and httpbin in foo and bar, where the restricted Pod Security Standard is enforced", async () => {
      const both = ["httpbin", "sleep"].flatMap((sample) => ["foo", "bar"].map((namespace) => ({ namespace, sample })));
      for (const namespace of ["foo", "bar"]) {
        await shell(`kubectl label ns ${namespace} pod-security.kubernetes.io/enforce=restricted`);
      }
      for (const { namespace, sample } of both) {
        // Connections as short as this, so that all that follows is done over new handshakes with the newest certificates.
        const inject = `signet-agent inject --connection-age 1s -f ${samples}/${sample}.yaml`;
        await shell(`kubectl apply -n ${namespace} -f <(${inject})`);
      }
      for (const { namespace, sample } of both) {
        await shell(`kubectl rollout status deploy/${sample} -n ${namespace} --timeout=120s`);
      }
    });
  });
}
