import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseConfig } from "@signet/ca/config";
import { type Running, serve } from "@signet/ca/entry/node/serve";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sidecars } from "../bench/sidecars.ts";
import { startAgent } from "../support/agent-process.ts";
import { type FakeApiServer, startFakeApiServer } from "../support/api-server.ts";
import { agentServiceAccount } from "../support/ca-config.ts";
import { makeCsr } from "../support/csr.ts";
import { fetchTrusting } from "../support/https.ts";
import { until } from "../support/poll.ts";
import { makeLogger } from "../support/test-logger.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// The embedded default, whole: authority in a Secret, issuer in-cluster, own serving certificate, roots in a ConfigMap.
const secrets = "/api/v1/namespaces/signet-system/secrets";
const configMap = "/api/v1/namespaces/signet-system/configmaps/signet-ca-roots";
const config = parseConfig(
  JSON.stringify({
    trustDomain: "cluster.local",
    authority: { store: "kubernetes:signet-system/signet-authority" },
    issuers: [{ issuer: "in-cluster", audiences: ["signet-ca"] }],
  }),
  "ca.jsonc",
);

let folder: WorkFolder;
let api: FakeApiServer;
let issuer: TokenIssuer;
let replicas: Running[];
let roots: string;
const logger = makeLogger();
const node = makeNode("node-1");
const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const at = (name: string) => join(folder.path, name);
/** The name in the certificate for the address in the URL. */
const named = ({ url }: Running) => url.replace("127.0.0.1", "localhost");

const startCa = () =>
  serve({
    ...{ config, source: "ca.jsonc", folder: folder.path, host: "127.0.0.1", port: 0, logger },
    tls: { dnsNames: ["localhost"] },
    publishRoots: { namespace: "signet-system", name: "signet-ca-roots" },
    cluster: { environment: api.environment, folder: api.folder, patienceSeconds: 10 },
  });

beforeAll(async () => {
  folder = await makeWorkFolder("in-cluster");
  await mkdir(at("account"));
  api = await startFakeApiServer(at("account"));
  issuer = await TokenIssuer.create();
  api.keys = issuer.jwks;
  replicas = await Promise.all([startCa(), startCa()]);
  roots = await until("the roots to be published", () => api.objects.get(configMap)?.data?.["roots.pem"]);
});
afterAll(async () => {
  await Promise.all((replicas ?? []).map((one) => one.stop()));
  await api?.stop();
  await folder?.remove();
});

test("two replicas that start at once have one authority, and both are trusted by the published roots alone", async () => {
  expect([...api.objects.keys()].filter((path) => path.startsWith(secrets)).sort()).toEqual([
    `${secrets}/signet-authority`,
    `${secrets}/signet-authority-root-key`,
  ]);
  for (const replica of replicas) {
    const response = await fetchTrusting(roots)(`${named(replica)}/v1/trust-bundle`);
    expect(await response.json()).toMatchObject({ sequence: 1, roots: [roots] });
    // Under its address it has no certificate.
    await expect(fetchTrusting(roots)(`${replica.url}/healthz`)).rejects.toThrow();
  }
});

test("an agent that pins the published roots gets identities for tokens of the cluster's issuer", async () => {
  await issuer.writeToken(at("node-token"), agentPod);
  writeFileSync(at("roots.pem"), roots);
  const agent = await startAgent({
    folder: folder.path,
    caUrl: named(replicas[0] as Running),
    nodeToken: at("node-token"),
    moreArgs: ["--ca-cert", at("roots.pem")],
  });
  const token = await issuer.token(makePod("foo", "sleep", node));
  const sidecars = new Sidecars([{ socket: agent.socket, token }]);
  try {
    await sidecars.start();
    const [workload] = await agent.workloads();
    expect(workload?.spiffeId).toBe("spiffe://cluster.local/ns/foo/sa/sleep");
  } finally {
    sidecars.stop();
    await agent.stop();
  }
});

test.each([
  { rule: "of the cluster's issuer", claims: {}, status: 201 },
  { rule: 'that says it is of "in-cluster"', claims: { iss: "in-cluster" }, status: 401 },
  { rule: "of nearly the same issuer", claims: { iss: "https://kubernetes.default.svc.cluster.local/" }, status: 401 },
])("a token $rule: $status", async ({ claims, status }) => {
  const pod = await issuer.token(makePod("foo", "sleep", node), { claims });
  const response = await fetchTrusting(roots)(`${named(replicas[1] as Running)}/v1/certificates`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${pod}`,
      [nodeTokenHeader]: await issuer.token(agentPod),
    },
    body: JSON.stringify({ csr: makeCsr() }),
  });
  expect(response.status).toBe(status);
});

test("a later start takes the authority that is there; nothing secret was logged", async () => {
  const third = await startCa();
  replicas.push(third);
  expect((await fetchTrusting(roots)(`${named(third)}/readyz`)).status).toBe(200);
  const kept = [...api.objects.values()].flatMap(({ data }) => Object.values(data ?? {}));
  const keys = kept.flatMap((value) => {
    const text = Buffer.from(value, "base64").toString();
    return [...text.matchAll(/"pkcs8": "([^"]+)"|PRIVATE KEY-----\n([^\n]+)/g)].map(([, a, b]) => a ?? b ?? "");
  });
  expect(keys).toHaveLength(2);
  for (const secret of [...keys, "first-token", "PRIVATE KEY"])
    expect(JSON.stringify(logger.lines)).not.toContain(secret);
});

test("without the right to create Secrets a first start says which rule is missing", async () => {
  api.objects.clear();
  api.trick = ({ method }) => (method === "POST" ? { status: 403, body: '{"reason":"Forbidden"}' } : undefined);
  await expect(startCa()).rejects.toMatchObject({
    code: "authority-unavailable",
    message: expect.stringContaining('create secrets in namespace "signet-system"'),
  });
});
