import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sidecars } from "../bench/sidecars.ts";
import { launchAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { Program } from "../support/processes.ts";
import { agentProgram, caProgram } from "../support/repo.ts";
import { makeServerCertificate } from "../support/server-certificate.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

let folder: WorkFolder;
let issuer: TokenIssuer;
let ca: Program;
let caUrl: string;
const node = makeNode("node-1");
const at = (name: string) => join(folder.path, name);

beforeAll(async () => {
  folder = await makeWorkFolder("tls");
  issuer = await TokenIssuer.create();
  await issuer.writeToken(at("node-token"), makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
  for (const name of ["server", "other"]) makeServerCertificate(folder.path, name);
  writeFileSync(at("ca.json"), JSON.stringify(caConfig({ keys: issuer.jwks })));
  const listen = `127.0.0.1:${await freePort()}`;
  caUrl = `https://${listen}`;
  ca = await Program.start({
    name: "signet-ca",
    command: process.execPath,
    args: [
      ...[caProgram, "serve", "--config", at("ca.json"), "--listen", listen],
      ...["--tls-cert", at("server.pem"), "--tls-key", at("server.key")],
    ],
    logFile: at("ca.log"),
  });
  await until("the CA to serve", () => ca.tail().includes("is serving on https://"));
});
afterAll(async () => {
  await ca?.stop();
  await folder.remove();
});

test("an agent that pins the CA's certificate gets identities over https", async () => {
  const agent = await startAgent({
    folder: folder.path,
    caUrl,
    nodeToken: at("node-token"),
    moreArgs: ["--ca-cert", at("server.pem")],
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
  { name: "pins another certificate", args: () => ["--ca-cert", at("other.pem")] },
  { name: "trusts the public roots only", args: () => [] },
])("an agent that $name sends the CA nothing", async ({ args }) => {
  const socket = at("refused");
  const agent = await Program.start({
    name: "signet-agent",
    command: process.execPath,
    args: [
      ...[agentProgram, "run", "--ca-url", caUrl, "--admin", "off"],
      ...["--trust-domain", "cluster.local", "--socket", socket, "--node-token", at("node-token"), ...args()],
    ],
    logFile: at("refused.log"),
  });
  try {
    await until("the agent to give up a request", () => agent.tail().includes("ca-unreachable"));
    expect(agent.tail()).toMatch(/self-signed certificate|unable to verify/);
    expect(agent.tail()).not.toContain("trust bundle learned");
  } finally {
    await agent.stop();
  }
});

test("an agent whose file of pinned certificates is replaced goes by the new ones", async () => {
  const pinned = at("pinned.pem");
  copyFileSync(at("other.pem"), pinned);
  const { program, socket } = await launchAgent({
    ...{ folder: folder.path, caUrl, nodeToken: at("node-token"), moreArgs: ["--ca-cert", pinned] },
  });
  const sidecars = new Sidecars([{ socket, token: await issuer.token(makePod("foo", "sleep", node)) }]);
  try {
    await until("the agent to refuse the CA", () => program.tail().includes("ca-unreachable"), {
      giveUp: program.failure,
    });
    copyFileSync(at("server.pem"), pinned);
    await sidecars.start();
    expect(program.tail()).not.toMatch(/-----BEGIN/);
  } finally {
    sidecars.stop();
    await program.stop();
  }
});

test("the CA's https takes no TLS older than 1.2", () => {
  const { host } = new URL(caUrl);
  const dial = (...options: string[]) =>
    execFileSync(
      "openssl",
      ["s_client", "-connect", host, ...options, "-CAfile", at("server.pem"), "-verify_return_error"],
      {
        input: "",
        stdio: "pipe",
        encoding: "utf8",
      },
    );
  expect(dial("-tls1_2")).toContain(new X509Certificate(readFileSync(at("server.pem"))).subject.replace("=", " = "));
  // The server says no; at its own security level openssl would not even ask.
  expect(() => dial("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")).toThrow(/alert protocol version/);
});
