import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runDoctor } from "@signet/node-agent/doctor/command";
import { version } from "@signet/node-agent/version";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { until } from "../support/poll.ts";
import { ensureBuilt } from "../support/repo.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { type TestIoOptions, testIo } from "./command-io.ts";
import { examine, mendOf } from "./doctor-world.ts";
import { World } from "./world.ts";

// The CA itself, as users run it, and an agent: what the doctor is for.
let world: World;
let ca: RunningCa;
let issuer: TokenIssuer;
const node = makeNode("node-1");
const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const at = (name: string) => join(world.folder, name);

beforeAll(async () => {
  await ensureBuilt();
  issuer = await TokenIssuer.create();
  world = await World.withoutAgent();
  ca = await startCaProcess({ folder: world.folder, config: caConfig({ keys: issuer.jwks }) });
  await issuer.writeToken(at("node-token"), agentPod);
  await issuer.writeToken(at("token"), makePod("shop", "cart", node, "cart-1"));
  await world.startAgent({
    caUrl: { value: ca.url, source: "test" },
    nodeToken: { value: at("node-token"), source: "test" },
  });
  await until("the agent to be ready", async () => (await fetch(`${world.agent.adminUrl}/readyz`)).ok);
});
afterAll(async () => {
  await world.stop();
  await ca.stop();
});

const settings = () => ({
  caUrl: ca.url,
  trustDomain: "cluster.local",
  socket: world.socket,
  nodeToken: at("node-token"),
  admin: new URL(world.agent.adminUrl ?? "").host,
});

async function run(flags: Parameters<typeof examine>[0], options: TestIoOptions = {}) {
  const { io, shown } = testIo(options);
  const given = { configFile: undefined, faults: [], token: undefined, json: false, flags: settings(), ...flags };
  return { code: await runDoctor(given, io), shown: shown() };
}

test("where everything is as it should be, it says what it has seen, and 0", async () => {
  const { code, shown } = await run({ token: at("token") });
  const steady = shown
    .replace(/in \d+ ms/g, "in N ms")
    .replace(/\(\d+ ms\)/g, "(N ms)")
    .replace(/ends in \d+[a-z]+(?: \d+[a-z]+)?/g, "ends in SPAN")
    .replace(/clock \S+Z/, "clock TIME")
    .replace(/owner \d+:\d+/g, "owner U:G")
    .replace(/\d+ file desc/, "N file desc")
    .replace(/Signet Root \d+/, "Signet Root DATE");
  const { host, port } = new URL(ca.url);
  expect(steady).toBe(`configuration
  ok    well formed: caUrl (--ca-url), trustDomain (--trust-domain), socket (--socket), nodeToken (--node-token), admin (--admin)

socket ${world.socket}
  ok    directory ${world.folder}: owner U:G, mode 0700, writable
  ok    a process serves it: owner U:G, mode 0666
  ok    it answers the HTTP/2 handshake in N ms

node token
  ok    ${at("node-token")} is readable, mode 0600
  ok    it is of signet-system/signet-node-agent, pod ${agentPod.pod.name}, issuer ${issuer.issuer}
  ok    audience signet-ca; one of the CA's issuers[].audiences must be the same
  ok    node node-1, uid ${node.uid}
  ok    it ends in SPAN (1h long)

pod token
  ok    ${at("token")} is readable, mode 0600
  ok    it is of shop/cart, pod cart-1, issuer ${issuer.issuer}
  ok    audience signet-ca; one of the CA's issuers[].audiences must be the same
  ok    node node-1, uid ${node.uid}
  ok    it ends in SPAN (1h long)
  ok    it is of the same node as the agent's token

CA http://${host}/
  ok    port ${port} takes connections (N ms)
  ok    /healthz answers 200
  ok    /readyz answers 200, in N ms
  ok    this machine's clock agrees with the CA's
  ok    trust domain cluster.local, bundle sequence 1
  ok    root CN=Signet Root DATE, O=cluster.local ends in SPAN
  ok    it accepts the node token

agent at ${settings().admin}
  ok    it is ready
  ok    version ${version}

system
  ok    clock TIME
  ok    N file descriptors for a process started as this one was

26 ok
`);
  expect(code).toBe(0);
});

describe("what the CA thinks of the node token", () => {
  const look = (nodeToken: string) => examine({ flags: { ...settings(), nodeToken } });

  test("another audience", async () => {
    await issuer.writeToken(at("other"), agentPod, { claims: { aud: ["other"] } });
    const examined = await look(at("other"));
    expect(examined.sections.CA?.at(-1)).toBe("fail it does not accept the node token");
    expect(mendOf(examined, "it does not accept")).toContain("issuers[].audiences");
    expect(examined.code).toBe(2);
  });

  test("another service account", async () => {
    await issuer.writeToken(at("other"), makePod("shop", "cart", node));
    const examined = await look(at("other"));
    expect(examined.sections.CA?.at(-1)).toMatch(/^fail it knows the node token/);
    expect(mendOf(examined, "it knows the node token")).toContain("nodeBinding");
  });

  test("nothing was signed for the asking, and no token is in what was said", async () => {
    const signed = () => readFileSync(at("signet-ca.log"), "utf8").match(/"event":"signed"/g)?.length ?? 0;
    const before = signed();
    const { shown } = await run({ token: at("token") });
    const { text } = await look(at("node-token"));
    expect(signed()).toBe(before);
    for (const output of [shown, text]) expect(output).not.toMatch(/eyJ|-----BEGIN/);
  });
});

describe("the configuration", () => {
  test("every fault of it at once, and nothing else is looked at", async () => {
    writeFileSync(at("agent.jsonc"), '{ "caUrll": "x", "socketMode": "rw" }');
    const { code, shown } = await run(
      { configFile: at("agent.jsonc"), faults: ["--sokcet: unknown flag"], flags: {} },
      { env: { SIGNET_TRUSTDOMAIN: "x" } },
    );
    for (const fault of [
      "--sokcet: unknown flag",
      "caUrll (",
      "SIGNET_TRUSTDOMAIN: unknown variable",
      "caUrl: missing",
      "socketMode (",
    ]) {
      expect(shown).toContain(`  fail  ${fault}`);
    }
    expect(shown).toContain("-> nothing else was looked at");
    expect(shown).not.toContain("\nsystem\n");
    expect(code).toBe(2);
  });

  test("a proxy that cannot be used, without its password", async () => {
    const { shown } = await run(
      { flags: { ...settings(), caUrl: "https://ca.example.com" } },
      { env: { HTTPS_PROXY: "socks5://user:secret@proxy:1080" } },
    );
    expect(shown).toContain("  fail  HTTPS_PROXY: a proxy of the kind socks5:// is not supported");
    expect(shown).not.toContain("secret");
  });
});

test("warnings alone end with 1", async () => {
  const { code, shown } = await run({ flags: { ...settings(), socketMode: "0660" } });
  expect(shown).toMatch(/\n19 ok, 1 warn\n$/);
  expect(code).toBe(1);
});

test("in a terminal there are colours, and no line is wider than it, but for words that have no break", async () => {
  const window = { columns: 80, rows: 24 };
  expect((await run({}, { window })).shown).toContain("\u001b[32mok  \u001b[0m");
  const { shown } = await run({}, { window, env: { NO_COLOR: "1" } });
  expect(shown).not.toContain("\u001b");
  for (const line of shown.split("\n"))
    if (line.trim().includes(" ", 6)) expect(line.length, line).toBeLessThanOrEqual(80);
});
