import { describe, expect, it } from "vitest";
import { chapter, shell, tryShell } from "../shell.ts";

const inSidecar = (command: string) => tryShell(`kubectl exec deploy/sleep -n foo -c signet-proxy -- ${command}`);

// -s: what this user may not read, nobody in the container may.
const filesWith = async (words: string) => {
  const { stdout } = await inSidecar(
    `grep -rlIs --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -e "${words}" /`,
  );
  return stdout.split("\n").filter(Boolean);
};

/** The image's own list of the world's public roots. */
const publicRoots = /^\/(?:etc\/ssl\/certs|usr\/share\/ca-certificates|usr\/lib\/ssl)\//;

export function noFiles(step: string): void {
  describe(`${step}. no secret volume`, () => {
    it("nothing is at /etc/certs", async () => {
      chapter(`${step}. Verify that no secret-volume mounted file is generated`);
      const { code, stderr } = await inSidecar("ls /etc/certs");
      expect(code).not.toBe(0);
      expect(stderr).toContain("No such file");
    });

    it("no file of the container holds a key, and none a certificate but the image's public roots", async () => {
      expect(await filesWith("-----BEGIN [A-Z ]*PRIVATE KEY-----")).toEqual([]);
      const found = await filesWith("-----BEGIN CERTIFICATE-----");
      expect(found.filter((file) => !publicRoots.test(file))).toEqual([]);
      // The search finds what there is.
      expect(await filesWith("root:x:0:0")).toContain("/etc/passwd");
    });

    it("the API server holds no Secret of the workload", async () => {
      expect(await shell("kubectl get secrets -n foo -o name")).toBe("");
    });
  });
}
