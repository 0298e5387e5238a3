import { beforeAll, describe, expect, it } from "vitest";
import { createToken, kubectl, kubectlJson } from "../kubectl.ts";
import { startMallory } from "../mallory.ts";
import { hostPath, pod } from "../policies/manifests.ts";
import { verdict } from "../policies.ts";
import { chapter, shell, tryShell } from "../shell.ts";
import { agentPods } from "./names.ts";
import { underLoad } from "./under-load.ts";

const own = "/own/socket";
const shared = "/var/run/sds/uds_path";

interface Answer {
  readonly status?: number;
  readonly message?: string;
  readonly identity?: string;
}

/** What Mallory, root in a pod of their own, gets for asking; `token` is a word for the shell in the pod. */
async function ask(socket: string, token = ""): Promise<Answer> {
  return JSON.parse(
    await shell(`kubectl exec mallory -n mallory -- sh -c 'node /attack/attacker.mjs ask ${socket} ${token}'`),
  );
}

const unauthenticated = 16;

/** A token of the pod of httpbin.foo with the CA's audience: more than any pod should ever get hold of. */
async function tokenOfHttpbin(): Promise<string> {
  const [found] = (
    await kubectlJson<{ items: { metadata: { name: string } }[] }>("get", "pods", "-l", "app=httpbin", "-n", "foo")
  ).items;
  return await createToken(
    ...(["foo", "httpbin", "--audience", "signet-ca"] as const),
    ...["--bound-object-kind", "Pod", "--bound-object-name", found?.metadata.name ?? ""],
  );
}

/** The same claims with nobody's signature. */
const forged = (token: string) => [...token.split(".").slice(0, 2), "c2lnbmF0dXJl"].join(".");

async function agentRestarts(): Promise<string> {
  return await shell(`kubectl get pod ${agentPods} -o jsonpath={.items..status.containerStatuses..restartCount}`, {
    quiet: true,
  });
}

export function attacks(step: string): void {
  describe(`${step}. attacks from inside`, () => {
    beforeAll(async () => {
      chapter(`${step}. Attacks from inside: Mallory is root in a pod with both sockets`);
      await startMallory("mallory");
    });

    it("Mallory's own socket gives Mallory's own identity", async () => {
      expect(await ask(own)).toEqual({ status: 0, identity: "URI:spiffe://cluster.local/ns/mallory/sa/mallory" });
      expect((await ask(shared, "$(cat /tokens/signet-token)")).identity).toContain("/ns/mallory/sa/mallory");
    });

    it.each([
      { what: "remove a socket", command: `rm ${own} ${shared}` },
      { what: "put another socket in its place", command: `mv ${own} /own/x; mv ${shared} /var/run/sds/x` },
      { what: "make files beside it", command: "touch /own/x; touch /var/run/sds/x" },
      { what: "make the mount writable", command: "mount -o remount,rw /own; mount -o remount,rw /var/run/sds" },
    ])("cannot $what", async ({ command }) => {
      const { stderr } = await tryShell(`kubectl exec mallory -n mallory -- sh -c '${command}'`);
      expect(stderr.match(/Read-only file system|permission denied|must be superuser/gi)?.length).toBeGreaterThan(1);
      expect((await ask(own)).status).toBe(0);
      expect(await shell("kubectl exec mallory -n mallory -- ls -A /own /var/run/sds")).toBe(
        "/own:\nsocket\n\n/var/run/sds:\nuds_path\n",
      );
    });

    it("reads no other pod's socket directory: the volume is refused in every namespace that is not trusted", async () => {
      const reading = pod({ volumes: [hostPath("/var/lib/kubelet/pods")] });
      expect((await verdict(reading, "foo")).refusal).toContain("violates PodSecurity");
      expect((await verdict(reading, "mallory")).refusal).toContain("leads to the sockets of other pods");
    });

    it("another pod's token on one's own socket changes nothing", async () => {
      expect((await ask(own, await tokenOfHttpbin())).identity).toContain("/ns/mallory/sa/mallory");
    });

    it.each([
      { what: "no token", token: async () => "" },
      {
        what: "a token with another pod's name and nobody's signature",
        token: async () => forged(await tokenOfHttpbin()),
      },
      {
        what: "a token for the API server",
        token: () => createToken("mallory", "mallory", "--bound-object-kind", "Pod", "--bound-object-name", "mallory"),
      },
      {
        what: "a token that is bound to no pod",
        token: () => createToken("foo", "httpbin", "--audience", "signet-ca"),
      },
    ])("on the shared socket $what gets nothing", async ({ token }) => {
      expect(await ask(shared, await token())).toMatchObject({ status: unauthenticated });
    });

    it("the CA signs nothing for a pod without an agent", async () => {
      const url = "https://signet-ca.signet-system.svc/v1/certificates";
      const script =
        "const token = require('node:fs').readFileSync('/tokens/signet-token', 'utf8');" +
        `const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };` +
        `const post = (more) => fetch('${url}', { method: 'POST', headers: { ...headers, ...more }, body: '{\\"csr\\":\\"x\\"}' });` +
        "(async () => { for (const more of [{}, { 'signet-node-token': token }]) console.log((await post(more)).status) })()";
      const statuses = await shell(
        `kubectl exec mallory -n mallory -- env NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 node -e "${script}"`,
      );
      expect(statuses).toBe("401\n403\n");
    });

    it.each([
      { what: "their own socket", socket: own, token: "" },
      { what: "the shared socket", socket: shared, token: "$(cat /tokens/signet-token)" },
    ])("flooding $what harms nobody else", async ({ socket, token }) => {
      const before = await agentRestarts();
      await underLoad(
        async (more) => {
          await more(5);
          const flood = await shell(
            `kubectl exec mallory -n mallory -- sh -c 'node /attack/attacker.mjs flood ${socket} 5 ${token}'`,
          );
          expect((JSON.parse(flood) as { connections: number }).connections).toBeGreaterThan(100);
          // A pod that starts now gets its identity too.
          await kubectl("rollout", "restart", "deploy/httpbin", "-n", "bar");
          await shell("kubectl rollout status deploy/httpbin -n bar --timeout=120s");
          await more(5);
        },
        { retries: true },
      );
      expect(await agentRestarts()).toBe(before);
    });
  });
}
