import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseConfig } from "@signet/ca/config";
import { type Running, serve } from "@signet/ca/entry/node/serve";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeCsr } from "../support/csr.ts";
import { fetchTrusting } from "../support/https.ts";
import { until } from "../support/poll.ts";
import { makeLogger } from "../support/test-logger.ts";
import { caAudience } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { apply, createToken, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces, runPod } from "./namespaces.ts";

const namespace = "signet-ca-test";
const account = "signet-ca";
const config = parseConfig(
  JSON.stringify({
    trustDomain: "cluster.local",
    authority: { store: `kubernetes:${namespace}/signet-authority` },
    issuers: [{ issuer: "in-cluster", audiences: [caAudience] }],
    nodeBinding: { agents: [`${namespace}/agent`] },
  }),
  "ca.jsonc",
);

// All that the CA may do. RBAC cannot tie `create` to a name.
const rules = [
  { apiGroups: [""], resources: ["secrets", "configmaps"], verbs: ["create"] },
  { apiGroups: [""], resources: ["secrets"], resourceNames: ["signet-authority"], verbs: ["get"] },
  { apiGroups: [""], resources: ["configmaps"], resourceNames: ["signet-ca-roots"], verbs: ["get", "patch"] },
];
const role = (allowed: object[]) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: account, namespace },
  rules: allowed,
});

interface Stored {
  readonly metadata: { readonly annotations?: Record<string, string>; readonly labels: Record<string, string> };
  readonly data: Record<string, string>;
}

let work: WorkFolder;
let environment: Record<string, string>;
let ours = false;
const running: Running[] = [];
const logger = makeLogger();

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces(namespace);
  ours = true;
  await apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account, namespace } }, role(rules), {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name: account, namespace },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: account },
    subjects: [{ kind: "ServiceAccount", name: account, namespace }],
  });
  // What kubelet gives to a pod.
  work = await makeWorkFolder("ca-k8s");
  await writeFile(join(work.path, "token"), await createToken(namespace, account), { mode: 0o600 });
  const { data } = await until("the cluster's CA certificate", () =>
    kubectlJson<Stored>("get", "configmap", "kube-root-ca.crt", "-n", namespace),
  );
  await writeFile(join(work.path, "ca.crt"), data["ca.crt"] ?? "");
  const view = await kubectlJson<{ clusters: { cluster: { server: string } }[] }>("config", "view", "--minify");
  const { hostname, port } = new URL(view.clusters[0]?.cluster.server ?? "");
  environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port || "443" };
});

afterAll(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await work?.remove();
  if (ours) await deleteNamespaces(namespace);
});

async function startCa(): Promise<string> {
  const one = await serve({
    ...{ config, source: "ca.jsonc", folder: work.path, host: "127.0.0.1", port: 0, logger },
    tls: { dnsNames: ["localhost"] },
    publishRoots: { namespace, name: "signet-ca-roots" },
    cluster: { environment, folder: work.path, patienceSeconds: 10 },
  });
  running.push(one);
  return one.url.replace("127.0.0.1", "localhost");
}
const stored = (kind: string, name: string) => kubectlJson<Stored>("get", kind, name, "-n", namespace);
const publishedRoots = async () => (await stored("configmap", "signet-ca-roots")).data["roots.pem"] ?? "";

it("comes to one authority when two replicas start at once, and both serve https that the published roots verify", async () => {
  const urls = await Promise.all([startCa(), startCa()]);
  const roots = await until("the roots to be published", publishedRoots);
  for (const url of urls) {
    const response = await fetchTrusting(roots)(`${url}/v1/trust-bundle`);
    expect(await response.json()).toMatchObject({ sequence: 1, roots: [roots] });
  }
  const names = (await kubectl("get", "secrets", "-n", namespace, "-o", "name")).trim().split("\n");
  expect(names.sort()).toEqual(["secret/signet-authority", "secret/signet-authority-root-key"]);
  expect((await stored("secret", "signet-authority-root-key")).metadata.labels["app.kubernetes.io/name"]).toBe(
    "signet-ca",
  );
  expect((await stored("configmap", "signet-ca-roots")).metadata).toMatchObject({
    labels: { "app.kubernetes.io/managed-by": "signet-ca" },
    annotations: { "signet.dev/bundle-sequence": "1" },
  });
  expect(logger.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
});

it.each([
  "get secret/signet-authority-root-key",
  "list secrets",
  "update secret/signet-authority",
  "delete secrets",
  "get configmap/other",
])("cannot %s", async (rule) => {
  const as = `system:serviceaccount:${namespace}:${account}`;
  // Ends with 1 for a no.
  const asked = kubectl("auth", "can-i", ...rule.split(" "), "-n", namespace, "--as", as);
  await expect(asked).rejects.toThrow("ended with 1");
});

it("signs for tokens that the API server made for running pods", async () => {
  const agent = await runPod(namespace, "agent");
  const sleep = await runPod(namespace, "sleep", agent.node);
  const token = (name: string) =>
    createToken(
      ...([namespace, name, "--audience", caAudience] as const),
      ...["--bound-object-kind", "Pod", "--bound-object-name", name],
    );
  const url = await startCa();
  const response = await fetchTrusting(await publishedRoots())(`${url}/v1/certificates`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${await token(sleep.name)}`,
      [nodeTokenHeader]: await token(agent.name),
    },
    body: JSON.stringify({ csr: makeCsr() }),
  });
  expect(await response.json()).toMatchObject({ spiffeId: `spiffe://cluster.local/ns/${namespace}/sa/sleep` });
});

it("says which rule of RBAC is missing", async () => {
  await apply(role(rules.filter(({ verbs }) => !verbs.includes("patch"))));
  const before = logger.lines.length;
  await startCa();
  const line = await until("the refusal", () =>
    logger.lines.slice(before).find(({ event, level }) => event === "publish-roots" && level === "warn"),
  );
  expect(line.error).toContain(`get configmaps "signet-ca-roots" in namespace "${namespace}"`);
  await apply(role([]));
  await expect(startCa()).rejects.toMatchObject({
    code: "authority-unavailable",
    message: expect.stringContaining(`get secrets "signet-authority" in namespace "${namespace}"`),
  });
  await apply(role(rules));
});

it("refuses to make a second root over a lost authority", async () => {
  await kubectl("delete", "secret", "signet-authority", "-n", namespace);
  await expect(startCa()).rejects.toMatchObject({
    code: "authority-unavailable",
    message: expect.stringContaining("its document is lost"),
  });
  const secrets = await kubectl("get", "secrets", "-n", namespace, "-o", "name");
  expect(secrets.trim()).toBe("secret/signet-authority-root-key");
  // As the message says.
  await kubectl("delete", "secret", "signet-authority-root-key", "-n", namespace);
  const old = await publishedRoots();
  const url = await startCa();
  const roots = await until("the new roots", async () => {
    const now = await publishedRoots();
    return now !== old && now;
  });
  expect((await fetchTrusting(roots)(`${url}/readyz`)).status).toBe(200);
});

it("logged nothing secret", () => {
  const log = JSON.stringify(logger.lines);
  expect(log).not.toContain("PRIVATE KEY");
  expect(log).not.toContain("pkcs8");
  expect(log).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/);
});
