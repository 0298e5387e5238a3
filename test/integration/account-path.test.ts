import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sidecars } from "../bench/sidecars.ts";
import { startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

let folder: WorkFolder;
let issuer: TokenIssuer;
let ca: RunningCa;
const node = makeNode("node-1");
const path = "/eu/{namespace}/{serviceAccount}";

beforeAll(async () => {
  folder = await makeWorkFolder("account-path");
  issuer = await TokenIssuer.create();
  const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
  await issuer.writeToken(join(folder.path, "node-token"), agent);
  const config = caConfig({ keys: issuer.jwks });
  const issuers = config.issuers.map((one) => ({ ...one, path, namespaces: ["foo"] }));
  ca = await startCaProcess({ folder: folder.path, config: { ...config, issuers } });
});
afterAll(async () => {
  await ca?.stop();
  await folder.remove();
});

test("an agent that knows how its CA names accounts gets their certificates", async () => {
  const agent = await startAgent({
    ...{ folder: folder.path, caUrl: ca.url, nodeToken: join(folder.path, "node-token") },
    moreArgs: ["--account-path", path],
  });
  const sidecars = new Sidecars([{ socket: agent.socket, token: await issuer.token(makePod("foo", "sleep", node)) }]);
  try {
    await sidecars.start();
    expect(await agent.workloads()).toMatchObject([{ spiffeId: "spiffe://cluster.local/eu/foo/sleep" }]);
  } finally {
    sidecars.stop();
    await agent.stop();
  }
});
