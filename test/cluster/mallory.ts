import { readFile } from "node:fs/promises";
import { apply, kubectl } from "./kubectl.ts";

/**
 * A pod of root with Node in it, both ways to a socket, a token of its own for the CA, and the attacker's program at
 * /attack/attacker.mjs.
 */
export async function startMallory(namespace: string): Promise<void> {
  const name = "mallory";
  const program = await readFile(new URL("attacker.mjs", import.meta.url), "utf8");
  await apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: { "attacker.mjs": program } },
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } },
      spec: {
        serviceAccountName: name,
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            ...{ name: "node", image: "docker.io/library/node:24-bookworm-slim", imagePullPolicy: "IfNotPresent" },
            command: ["/bin/sleep", "2147483647"],
            volumeMounts: [
              { name: "own", mountPath: "/own" },
              { name: "shared", mountPath: "/var/run/sds", readOnly: true },
              { name: "tokens", mountPath: "/tokens", readOnly: true },
              { name: "attack", mountPath: "/attack", readOnly: true },
            ],
          },
        ],
        volumes: [
          { name: "own", csi: { driver: "csi.signet.dev", readOnly: true } },
          { name: "shared", hostPath: { path: "/var/run/sds", type: "Directory" } },
          {
            name: "tokens",
            projected: {
              sources: [
                { serviceAccountToken: { audience: "signet-ca", expirationSeconds: 3_600, path: "signet-token" } },
              ],
            },
          },
          { name: "attack", configMap: { name } },
        ],
      },
    },
  );
  await kubectl("wait", "pod", name, "-n", namespace, "--for=condition=Ready", "--timeout=120s");
}
