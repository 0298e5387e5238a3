import { describe, expect, it } from "vitest";
import { apply } from "../kubectl.ts";
import { chapter, shell, tryShell } from "../shell.ts";

const sidecar = "deploy/sleep -n foo -c signet-proxy";
const pristine = "pod/pristine -n mallory";

/** Files of a container that have these words in them; -s: what its user may not read, nobody in it may. */
const filesWith = async (container: string, words: string) => {
  const grep = `grep -rlIs --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -e "${words}" /`;
  const { stdout } = await tryShell(`kubectl exec ${container} -- ${grep}`);
  return stdout.split("\n").filter(Boolean).sort();
};

/** The sidecar's image with nothing done to it: examples and public roots are in it. */
async function startPristine(): Promise<void> {
  const [image] = (
    await shell("kubectl get pod -l app=sleep -n foo -o jsonpath={.items..spec.initContainers[0].image}", {
      quiet: true,
    })
  ).split(" ");
  await apply({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "pristine", namespace: "mallory" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        { ...{ name: "envoy", image, imagePullPolicy: "IfNotPresent" }, command: ["/bin/sleep", "2147483647"] },
      ],
    },
  });
  await shell(`kubectl wait ${pristine} --for=condition=Ready --timeout=60s`, { quiet: true });
}

export function noFiles(step: string): void {
  describe(`${step}. no secret volume`, () => {
    it("nothing is at /etc/certs", async () => {
      chapter(`${step}. Verify that no secret-volume mounted file is generated`);
      const { code, stderr } = await tryShell(`kubectl exec ${sidecar} -- ls /etc/certs`);
      expect(code).not.toBe(0);
      expect(stderr).toContain("No such file");
    });

    it("no file of the container holds a key, and none a certificate but those of its image", async () => {
      expect(await filesWith(sidecar, "-----BEGIN [A-Z ]*PRIVATE KEY-----")).toEqual([]);
      await startPristine();
      const ofImage = await filesWith(pristine, "-----BEGIN CERTIFICATE-----");
      expect(ofImage).not.toEqual([]);
      expect(await filesWith(sidecar, "-----BEGIN CERTIFICATE-----")).toEqual(ofImage);
    });

    it("the API server holds no Secret of the workload", async () => {
      expect(await shell("kubectl get secrets -n foo -o name")).toBe("");
    });
  });
}
