/**
 * Tries both bundles on the oldest Node that the README promises: a certificate over TLS, and an agent that gets one for a
 * workload. The tests themselves need the Node of this repository, which npm puts first on PATH.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { type Certificate, nodeTokenHeader } from "@signet/shared/ca-api";
import { Sidecars } from "../bench/sidecars.ts";
import { startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaOverTls } from "../support/ca-tls.ts";
import { makeCsr } from "../support/csr.ts";
import { agentProgram, caProgram } from "../support/repo.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";

const oldest = "20";
const run = promisify(execFile);

/** A Node of that version: `NODE_20`, one on PATH, or npm's package, which is fetched outside of this repository. */
async function findNode(folder: string): Promise<string> {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "node"));
  for (const node of [process.env.NODE_20 || [], onPath].flat()) {
    const version = await run(node, ["--version"]).catch(() => undefined);
    if (version?.stdout.startsWith(`v${oldest}.`)) return node;
  }
  const fetched = ["exec", "--yes", `--package=node@${oldest}`, "--call", "node -p process.execPath"];
  const { stdout } = await run("npm", fetched, { cwd: folder });
  return stdout.trim();
}

const folder = await makeWorkFolder("oldest-node");
const node = await findNode(folder.path);
const { stdout: version } = await run(node, ["--version"]);
console.log(`Node ${version.trim()}`);
for (const program of [caProgram, agentProgram]) {
  const { stdout } = await run(node, [program, "--version"]);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
}
console.log("ok  both programs start");

const issuer = await TokenIssuer.create();
const config = caConfig({ keys: issuer.jwks });
const configFile = join(folder.path, "signet-ca.json");
await writeFile(configFile, JSON.stringify(config));
const { stdout: checked } = await run(node, [caProgram, "check-config", "--config", configFile]);
assert.match(checked, /can be used on node/);
console.log("ok  signet-ca check-config");

const ca = await startCaOverTls({ folder: folder.path, config, node });
const onNode = makeNode("node-1");
const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, onNode);
const sleep = makePod("foo", "sleep", onNode);
try {
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${await issuer.token(sleep)}`,
    [nodeTokenHeader]: await issuer.token(agentPod),
  };
  const answer = await ca.fetch("/v1/certificates", {
    method: "POST",
    headers,
    body: JSON.stringify({ csr: makeCsr() }),
  });
  assert.equal(answer.status, 201);
  const { certificateChain } = (await answer.json()) as Certificate;
  const [leaf, issuing] = certificateChain.map((pem) => new X509Certificate(pem));
  assert.equal(leaf?.subjectAltName, "URI:spiffe://cluster.local/ns/foo/sa/sleep");
  assert.ok(issuing !== undefined && leaf.verify(issuing.publicKey));
  const metrics = await (await ca.fetch("/metrics")).text();
  assert.match(metrics, /^signet_ca_certificate_requests_total\{result="signed"\} 1$/m);
  console.log("ok  signet-ca serve: a certificate over TLS and HTTP/2");

  const nodeToken = join(folder.path, "node-token");
  await issuer.writeToken(nodeToken, agentPod);
  const moreArgs = ["--ca-cert", ca.certificate];
  const agent = await startAgent({ folder: folder.path, caUrl: ca.origin, nodeToken, node, moreArgs });
  const sidecars = new Sidecars([{ socket: agent.socket, token: await issuer.token(sleep) }]);
  try {
    await sidecars.start();
    const [workload] = await agent.workloads();
    assert.equal(workload?.spiffeId, "spiffe://cluster.local/ns/foo/sa/sleep");
    console.log("ok  signet-agent run: a certificate for a workload");
  } finally {
    sidecars.stop();
    await agent.stop();
  }
} finally {
  await ca.stop();
}
assert.equal(ca.program.exitCode, 0);
console.log("ok  both programs end in order");
await folder.remove();
