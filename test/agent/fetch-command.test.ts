import { X509Certificate } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runFetch } from "@signet/node-agent/fetch/command";
import type { FetchFlags } from "@signet/node-agent/fetch/flags";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { testIo } from "./command-io.ts";
import { aPod, CsiWorld } from "./csi-world.ts";
import { makePod, World } from "./world.ts";

let world: World;
const pod = makePod();
const at = (name: string) => join(world.folder, name);

beforeEach(async () => {
  world = await World.start();
  writeFileSync(at("token"), `${world.ca.token(pod)}\n`);
});
afterEach(async () => {
  await world.stop();
});

async function fetch(flags: Partial<FetchFlags> = {}, env: Record<string, string> = {}) {
  const { io, shown, told } = testIo({ now: world.clock.now, env });
  const code = await runFetch({ socket: world.socket, token: at("token"), timeout: 30, ...flags }, io);
  return { code, shown: shown(), told: told() };
}

/** Output with what differs from run to run replaced. */
const steady = (text: string) =>
  text
    .replace(/\b[0-9a-f]{64}\b/g, "HASH")
    .replace(/\b7f[0-9a-f]{30}\b/g, "SERIAL")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME")
    .replace(/ends in \d+[a-z]+(?: \d+[a-z]+)?/g, "ends in SPAN");

const shownSecrets = `default  certificate and key
  SPIFFE ID   spiffe://cluster.local/ns/foo/sa/sleep
  serial      SERIAL
  valid       TIME to TIME, ends in SPAN
  key         EC P-256, private key received and not shown
  issuer      CN=intermediate
  chain       CN=intermediate, ends in SPAN

ROOTCA  trust bundle, plain roots
  root        CN=root, ends in SPAN, sha256 HASH
`;

describe("what comes", () => {
  test.each([{ delta: false }, { delta: true }])("is shown whole, without the key: $delta", async ({ delta }) => {
    const { code, shown, told } = await fetch({ delta });
    expect(steady(shown)).toBe(shownSecrets);
    expect(shown).not.toContain("PRIVATE KEY");
    expect({ code, told }).toEqual({ code: 0, told: "" });
  });

  test("is verified rule by rule", async () => {
    const { code, shown } = await fetch({ name: ["default"], verify: true });
    expect(steady(shown)).toBe(`${shownSecrets}
verified
  ok    the private key is the certificate's
  ok    the certificate is valid now and ends in SPAN
  ok    certificate 2 of the chain is valid now and ends in SPAN
  ok    X1 exactly one URI name, a SPIFFE ID
  ok    X2 a leaf: its SPIFFE ID has a path, it is no CA, its name is marked critical where it must be
  ok    X3 key usage is critical and has digitalSignature, neither keyCertSign nor cRLSign
  ok    X4 extended key usage has serverAuth and clientAuth, or is left out
  ok    X5 each signing certificate is a CA with keyCertSign and no workload's ID
  ok    X6 the chain leads to the root CN=root of the bundle
`);
    expect(code).toBe(0);
  });

  test("for the SPIFFE validator, when asked for, names the trust domain", async () => {
    const { code, shown } = await fetch({ validator: "spiffe", verify: true });
    expect(shown).toContain("ROOTCA  trust bundle for the SPIFFE validator\n  domain      cluster.local\n");
    expect(shown).toContain("ok    X6 ");
    expect(code).toBe(0);
  });

  test("as JSON is one document without the key", async () => {
    const { shown } = await fetch({ json: true, verify: true });
    expect(shown.trimEnd()).not.toContain("\n");
    expect(shown).not.toContain("PRIVATE KEY");
    const { faults, method, secrets, verification } = JSON.parse(shown);
    expect({ faults, method }).toEqual({ faults: [], method: "StreamSecrets" });
    expect(secrets).toMatchObject([
      { name: "default", kind: "certificate", subjectAltName: "URI:spiffe://cluster.local/ns/foo/sa/sleep" },
      { name: "ROOTCA", kind: "bundle", form: "trusted-ca", domains: [{ trustDomain: null }] },
    ]);
    expect(new X509Certificate(secrets[0].chain[0].pem).serialNumber.toLowerCase()).toBe(
      secrets[0].chain[0].serialNumber,
    );
    expect(new Set(verification.map(({ level }: { level: string }) => level))).toEqual(new Set(["ok"]));
  });

  test.each([{ json: false }, { json: true }])("shows the key when told to, with a warning: %o", async ({ json }) => {
    const { shown, told } = await fetch({ showKey: true, json });
    expect(shown).toContain("-----BEGIN PRIVATE KEY-----");
    expect(told).toContain("--show-key prints the private key");
  });

  test("is asked for under the names that the agent's variables say", async () => {
    await world.agent.stop();
    await world.startAgent({
      svidName: { value: "mine", source: "test" },
      bundleName: { value: "roots", source: "test" },
    });
    const { code, shown } = await fetch({}, { SIGNET_SVID_NAME: "mine", SIGNET_BUNDLE_NAME: "roots" });
    expect(shown).toMatch(/^mine {2}certificate/);
    expect(shown).toContain("\nroots  trust bundle");
    expect(code).toBe(0);
  });
});

describe("--out", () => {
  test("writes files that OpenSSL and Envoy read, the key for its owner alone, and says so", async () => {
    const { code, told } = await fetch({ out: at("identity"), name: ["default"] });
    expect(code).toBe(0);
    const [key, svid, bundle] = ["key.pem", "svid.pem", "bundle.pem"].map((name) => at(`identity/${name}`));
    expect(told).toContain(`wrote ${key}: a private key`);
    expect(statSync(key as string).mode & 0o777).toBe(0o600);
    expect(statSync(at("identity")).mode & 0o777).toBe(0o700);
    expect(readFileSync(key as string, "utf8")).toContain("-----BEGIN PRIVATE KEY-----");
    expect(readFileSync(svid as string, "utf8").match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(readFileSync(bundle as string, "utf8")).toBe(world.ca.rootPems.join(""));
  });

  test("replaces a link that somebody laid there, and does not follow it", async () => {
    mkdirSync(at("identity"));
    writeFileSync(at("victim"), "untouched");
    symlinkSync(at("victim"), at("identity/key.pem"));
    await fetch({ out: at("identity") });
    expect(readFileSync(at("victim"), "utf8")).toBe("untouched");
    expect(lstatSync(at("identity/key.pem")).isFile()).toBe(true);
  });

  test("nothing is written unless asked for", async () => {
    const { told } = await fetch();
    expect(told).toBe("");
  });
});

describe("what does not come", () => {
  test("a socket that pods share wants a token", async () => {
    const { io, shown: output } = testIo({ now: world.clock.now });
    const code = await runFetch({ socket: world.socket, timeout: 30 }, io);
    const shown = output();
    expect(shown).toMatch(/^ {2}fail {2}UNAUTHENTICATED: no token/);
    expect(shown).toContain(
      "-> this socket is shared by pods and wants to know which one asks: give its token with --token",
    );
    expect(code).toBe(1);
  });

  test("a token that the CA does not accept", async () => {
    writeFileSync(at("token"), world.ca.forge(pod));
    const { code, shown } = await fetch({ verify: true });
    expect(shown).toContain("fail  UNAUTHENTICATED: the CA refuses");
    expect(shown).toContain("-> give the token that the pod's Envoy sends, fresh");
    expect(code).toBe(1);
  });

  test("a name that means nothing: told by DeltaSecrets", async () => {
    const { code, shown } = await fetch({ delta: true, name: ["default", "nonsense"] });
    expect(shown).toContain('fail  the name "nonsense" means nothing here');
    expect(shown).toContain("default  certificate and key");
    expect(code).toBe(1);
  });

  test("a name that means nothing: silence by StreamSecrets", async () => {
    const { code, shown } = await fetch({ name: ["default", "nonsense"], timeout: 0.2 });
    expect(shown).toContain('fail  nothing came for "nonsense" within 0.2 s');
    expect(shown).toContain("with --delta the agent tells");
    expect(code).toBe(1);
  });

  test("with --verify, a certificate", async () => {
    const { code, shown } = await fetch({ verify: true, name: ["ROOTCA"] });
    expect(shown).toContain("fail  no certificate came, so there is nothing to verify");
    expect(code).toBe(1);
  });

  test("where the agent has no socket that pods share", async () => {
    const { io } = testIo({ env: { SIGNET_SOCKET: "off" } });
    await expect(runFetch({ timeout: 1 }, io)).rejects.toThrow(
      "SIGNET_SOCKET is off: there is no socket that pods share",
    );
  });

  test.each([
    ["is not there", undefined, /token cannot be read \(ENOENT\)/],
    ["is empty", "\n", /token is empty/],
    ["holds something else", "user:secret-password", /holds no token/],
    ["is endless", "a".repeat(20_000), /is too long/],
  ])("a token file that %s, without a word of what is in it", async (_how, contents, message) => {
    const file = at("other-token");
    if (contents !== undefined) writeFileSync(file, contents);
    const failure = await fetch({ token: file }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "config-invalid", message: expect.stringMatching(message) });
    expect(String(failure)).not.toContain("secret-password");
  });
});

test("a pod's own socket needs no token, and its long path is no hindrance", async () => {
  const csi = await CsiWorld.start();
  const owner = aPod("cart");
  await csi.kubelet.publish({ pod: owner, token: csi.world.ca.token(owner) });
  const { io, shown } = testIo({ now: csi.world.clock.now });
  const socket = csi.kubelet.socket({ pod: owner });
  expect(socket.length).toBeGreaterThan(107);
  expect(await runFetch({ socket, verify: true, timeout: 30 }, io)).toBe(0);
  expect(shown()).toContain("SPIFFE ID   spiffe://cluster.local/ns/foo/sa/cart\n");
  await csi.stop();
});

test("--watch shows each change until interrupted", async () => {
  const { interrupt, io, shown } = testIo({ now: world.clock.now });
  const running = runFetch({ socket: world.socket, token: at("token"), timeout: 30, watch: true, verify: true }, io);
  const pushes = () => shown().match(/private key received/g)?.length ?? 0;
  await until("the first push", () => pushes() === 1, { every: 5 });
  world.clock.advance(2_000);
  await until("the renewal", () => pushes() === 2, { every: 5 });
  interrupt();
  expect(await running).toBe(0);
  const serials = [...shown().matchAll(/serial +(\S+)/g)].map(([, serial]) => serial);
  expect(new Set(serials).size).toBe(2);
  expect(shown()).not.toContain("fail");
});

test("--watch ends with 1 when the agent ends the stream", async () => {
  const { io, shown } = testIo({ now: world.clock.now });
  const running = runFetch({ socket: world.socket, token: at("token"), timeout: 30, watch: true }, io);
  await until("the first push", () => shown().includes("private key received"), { every: 5 });
  await world.agent.stop();
  expect(await running).toBe(1);
  expect(shown()).toContain("fail  UNAVAILABLE: the agent is stopping");
  await world.startAgent();
});
