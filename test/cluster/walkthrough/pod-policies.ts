import { describe, expect, it } from "vitest";
import { until } from "../../support/poll.ts";
import { apply } from "../kubectl.ts";
import { chapter, shell } from "../shell.ts";

/** The task's Deployments, with an image that is here. */
function deployment(name: string, mounts: object): object {
  const labels = { app: name };
  return {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name, namespace: "default" } },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              ...{ name, image: "docker.io/curlimages/curl:latest", imagePullPolicy: "IfNotPresent" },
              command: ["/bin/sleep", "3650d"],
              ...("volumes" in mounts ? { volumeMounts: [{ name: "sds-uds", mountPath: "/var/run/sds" }] } : {}),
            },
          ],
          terminationGracePeriodSeconds: 0,
          ...mounts,
        },
      },
    },
  };
}

export function podPolicies(step: string): void {
  describe(`${step}. a normal pod and a malicious one`, () => {
    it("a normal pod starts", async () => {
      chapter(`${step}. A normal pod starts, a malicious one does not`);
      await apply(deployment("normal", {}));
      await shell("kubectl rollout status deploy/normal --timeout=60s");
      expect(await shell("kubectl get pod -l app=normal")).toMatch(/1\/1 +Running/);
    });

    it("a pod that mounts the socket's directory writable does not, and its ReplicaSet says why", async () => {
      const hostPath = { path: "/var/run/sds", type: "" };
      await apply(deployment("malicious", { volumes: [{ name: "sds-uds", hostPath }] }));
      const failed = "kubectl describe rs -l app=malicious | grep Failed";
      await until("the refusal", async () => (await shell(failed, { quiet: true })).includes("FailedCreate"));
      const text = await shell(failed);
      expect(text).toMatch(/ReplicaFailure +True +FailedCreate/);
      expect(text).toMatch(
        /Warning +FailedCreate .*Error creating: pods "malicious-.*" is forbidden: .*must be read-only/,
      );
      expect(text).toContain("0 Running / 0 Waiting / 0 Succeeded / 0 Failed");
    });
  });
}
