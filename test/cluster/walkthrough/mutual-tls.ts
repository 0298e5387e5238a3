import { describe, expect, it } from "vitest";
import { apply } from "../kubectl.ts";
import { chapter, shell, tryShell } from "../shell.ts";
import { fourRequests, fourTimes200 } from "./names.ts";

export function mutualTls(step: string): void {
  describe(`${step}. mutual TLS`, () => {
    it("all four requests succeed", async () => {
      chapter(`${step}. Verify that all mutual TLS requests succeed`);
      expect(await shell(fourRequests)).toBe(fourTimes200);
    });

    it("who called is known from the certificate", async () => {
      const headers = await shell(
        "kubectl exec deploy/sleep -c sleep -n bar -- curl -s http://httpbin.foo:8000/headers",
      );
      expect(headers).toContain("URI=spiffe://cluster.local/ns/bar/sa/sleep");
    });

    it.each([
      { what: "in the clear", curl: "http://httpbin.foo:8000/ip" },
      { what: "over TLS without a certificate", curl: "-k https://httpbin.foo:8000/ip" },
      { what: "past the sidecar", curl: "http://$HTTPBIN:8080/ip" },
    ])("a pod without identity is refused $what", async ({ curl }) => {
      await startStranger();
      const query = "kubectl get pod -l app=httpbin -n foo -o jsonpath={.items..status.podIP}";
      const address = (await shell(query, { quiet: true })).trim();
      const { code, stdout } = await tryShell(
        "kubectl exec stranger -n mallory -- " +
          `curl -sS -m 10 -o /dev/null -w '%{http_code}\\n' ${curl.replace("$HTTPBIN", address)}`,
      );
      expect(code).not.toBe(0);
      expect(stdout).toBe("000\n");
    });
  });
}

async function startStranger(): Promise<void> {
  await apply({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "stranger", namespace: "mallory" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          ...{ name: "curl", image: "docker.io/curlimages/curl:latest", imagePullPolicy: "IfNotPresent" },
          command: ["/bin/sleep", "2147483647"],
        },
      ],
    },
  });
  await shell("kubectl wait pod/stranger -n mallory --for=condition=Ready --timeout=60s", { quiet: true });
}
