import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sidecars } from "../bench/sidecars.ts";
import { launchAgent } from "../support/agent-process.ts";
import { ConnectProxy, type ProxyScript } from "../support/connect-proxy.ts";
import { until } from "../support/poll.ts";
import type { Program } from "../support/processes.ts";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// A name that only the proxy can find.
const caUrl = "https://ca.signet.test:8443";
const pod = { namespace: "foo", serviceAccount: "sleep", podName: "sleep-1", podUid: "uid-1" };

let folder: WorkFolder;
let ca: ScriptedCa;
let proxy: ConnectProxy;
let agent: Program | undefined;
const at = (name: string) => join(folder.path, name);

/** A server certificate for the CA's name that vouches for itself. */
function makeServerCertificate(name: string): { key: string; cert: string } {
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:ca.signet.test", "-days", "2"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", at(`${name}.key`), "-out", at(`${name}.pem`)];
  execFileSync("openssl", ["req", "-x509", ...key, ...subject, ...files], { stdio: "pipe" });
  return { key: readFileSync(at(`${name}.key`), "utf8"), cert: readFileSync(at(`${name}.pem`), "utf8") };
}

beforeEach(async () => {
  folder = await makeWorkFolder("proxy");
  ca = await ScriptedCa.start({ tls: makeServerCertificate("server") });
  proxy = await ConnectProxy.start(Number(new URL(ca.url).port));
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  await proxy.stop();
  await ca.stop();
  await folder.remove();
});

async function launch(moreEnv: NodeJS.ProcessEnv, pinned = "server"): Promise<{ program: Program; socket: string }> {
  if (pinned !== "server") makeServerCertificate(pinned);
  const nodeToken = at("node-token");
  writeFileSync(nodeToken, ca.token(pod));
  const moreArgs = ["--ca-cert", at(`${pinned}.pem`)];
  const launched = await launchAgent({ ...{ folder: folder.path, caUrl, nodeToken, moreArgs, moreEnv } });
  agent = launched.program;
  return launched;
}

async function getSecrets(socket: string, podUid = pod.podUid): Promise<void> {
  const sidecars = new Sidecars([{ socket, token: ca.token({ ...pod, podUid }) }]);
  try {
    await sidecars.untilListening(() => agent?.failure());
    await sidecars.start();
  } finally {
    sidecars.stop();
  }
}

test("the CA is asked through the proxy, with the proxy's credentials and the pinned CA", async () => {
  const { program, socket } = await launch({ HTTPS_PROXY: `http://signet:geh%2Fim@${proxy.host}` });
  for (let n = 0; n < 15; n++) await getSecrets(socket, `sleep-${n}`);
  expect(ca.requests).toHaveLength(15);
  expect(new Set(proxy.requests.map(({ target }) => target))).toEqual(new Set(["ca.signet.test:8443"]));
  expect(proxy.requests[0]?.authorization).toBe(`Basic ${Buffer.from("signet:geh/im").toString("base64")}`);
  // Connections are kept.
  expect(proxy.requests.length).toBeLessThan(10);
  expect(program.tail()).not.toMatch(/geh|c2lnbmV0/);
});

test("a CA behind the proxy that the pinned CA does not vouch for is told nothing", async () => {
  const { program } = await launch({ https_proxy: proxy.host }, "other");
  await until("the agent to refuse the CA", () => program.tail().includes("ca-unreachable"));
  expect(program.tail()).toMatch(
    /through the proxy http:\/\/127\.0\.0\.1:\d+: (self-signed certificate|unable to verify)/,
  );
  expect(ca.requests).toHaveLength(0);
  expect(ca.bundleRequests).toBe(0);
});

const bundle = '{"trustDomain":"cluster.local","sequence":7,"refreshHintSeconds":60,"roots":["x"]}';

test.each<{ what: string; script: ProxyScript }>([
  { what: "wants credentials", script: { status: "407 Proxy Authentication Required" } },
  { what: "forbids it", script: { status: "403 Forbidden" } },
  { what: "answers in the CA's place", script: { status: "201 Created", body: bundle } },
  { what: "says nothing", script: "hang" },
])("a proxy that $what is no CA: it can be asked later, and no token is refused for it", async ({ script }) => {
  proxy.script = script;
  const { program, socket } = await launch({ HTTPS_PROXY: `http://signet:geheim@${proxy.host}` });
  await until("the agent to be without a bundle", () => program.tail().includes("trust bundle not learned"));
  const [line = ""] = program
    .tail()
    .split("\n")
    .filter((one) => one.includes("trust bundle not learned"));
  expect(line).toContain('"code":"ca-unreachable"');
  expect(line).toContain(`through the proxy http://${proxy.host}`);
  proxy.script = "tunnel";
  await getSecrets(socket);
  expect(program.tail()).not.toMatch(/geheim|c2lnbmV0|token refused/);
});

test("a proxy that is down is waited for", async () => {
  const { host } = proxy;
  await proxy.stop();
  const { program } = await launch({ HTTPS_PROXY: `http://${host}` });
  await until("the agent to be without a bundle", () => program.tail().includes("trust bundle not learned"));
  expect(program.tail()).toContain(`through the proxy http://${host}: connect ECONNREFUSED`);
});

test("a CA that is exempt is asked without the proxy", async () => {
  const { program } = await launch({ HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: ".signet.test" });
  await until("the agent to look for the CA", () => program.tail().includes("trust bundle not learned"));
  expect(program.tail()).toMatch(/ENOTFOUND|EAI_AGAIN/);
  expect(proxy.requests).toEqual([]);
});

test("a variable that names no proxy is a fault of the configuration, told without its value", async () => {
  const { program } = await launch({ HTTPS_PROXY: "socks5://signet:geheim@127.0.0.1:1080" });
  await until("the agent to end", () => program.failure() !== undefined);
  expect(program.tail()).toContain("HTTPS_PROXY: a proxy of the kind socks5:// is not supported");
  expect(program.tail()).not.toContain("geheim");
});
