import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { agentProgram, ensureBuilt, plainEnvironment } from "../support/repo.ts";
import { makePod, World } from "./world.ts";

// The built program, as somebody types it; what the commands show is tested beside them.
let world: World;
let admin: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  await ensureBuilt();
  world = await World.start();
  admin = new URL(world.agent.adminUrl ?? "").host;
  writeFileSync(join(world.folder, "token"), world.ca.token(makePod()));
});
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});
afterAll(async () => {
  await world.stop();
});

function run(...args: readonly string[]) {
  const child = spawn(process.execPath, [agentProgram, ...args], {
    env: plainEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const output = { shown: "", told: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.shown += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.told += text;
  });
  const ended = once(child, "close").then(([code]) => {
    running.delete(child);
    return { ...output, code: code as number | null };
  });
  return { child, output, ended };
}

const fetchFlags = () => ["--socket", world.socket, "--token", join(world.folder, "token")];

describe("help", () => {
  test.each(["status", "doctor", "fetch", "run"])(
    "of %s teaches by example and names its exit codes",
    async (command) => {
      const { code, shown } = await run(command, "--help").ended;
      expect(code).toBe(0);
      for (const part of [`signet-agent ${command}`, "Example", "Exit codes:\n  0   "]) expect(shown).toContain(part);
      for (const line of shown.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
    },
  );

  test("of the program lists every command", async () => {
    const { shown } = await run("--help").ended;
    for (const command of ["run", "status", "doctor", "fetch", "inject"])
      expect(shown).toMatch(new RegExp(`^ {2}${command} `, "m"));
  });
});

describe("misuse ends with 2 and names what is wrong", () => {
  test.each([
    [["status", "--frob"], "unknown option '--frob'"],
    [["status", "--interval", "soon"], "a number of seconds from 0.2 to 3600"],
    [["status", "--admin", "here"], 'admin (--admin): "here" is no address'],
    [["fetch", "--validator", "none"], "Allowed choices are trusted-ca, spiffe"],
    [["fetch", "--timeout", "soon"], '"soon" is no duration'],
    [["fetch", "--token", "/nowhere"], "--token: /nowhere cannot be read (ENOENT)"],
    [["fetch", "stray"], "too many arguments"],
    [["doctor", "--frob"], "--frob: unknown flag; see signet-agent doctor --help"],
  ])("%j", async (args, words) => {
    const { code, shown, told } = await run(...args).ended;
    expect(shown + told).toContain(words);
    expect(shown + told).not.toContain("    at ");
    expect(code).toBe(2);
  });
});

test.each([
  [["status", "--admin", "127.0.0.1:1"], "no agent answers at 127.0.0.1:1"],
  [["fetch", "--socket", "/nowhere/s"], "/nowhere/s: there is no such socket"],
])("%j: nobody there ends with 69, in one line", async (args, words) => {
  const { code, told } = await run(...args).ended;
  expect(told).toContain(words);
  expect(told.trim().split("\n")).toHaveLength(1);
  expect(code).toBe(69);
});

test("status and fetch ask an agent, and leave nothing running", async () => {
  const fetched = await run("fetch", "--verify", ...fetchFlags()).ended;
  expect(fetched).toMatchObject({ code: 0, told: "" });
  expect(fetched.shown).toContain("SPIFFE ID   spiffe://cluster.local/ns/foo/sa/sleep");
  expect(fetched.shown).not.toContain("PRIVATE KEY");
  const status = await run("status", "--admin", admin).ended;
  expect(status).toMatchObject({ code: 0, told: "" });
  expect(status.shown).toMatch(/all is well\n$/);
});

test("a server that is no agent is told in one line, without frames and without what a terminal would obey", async () => {
  const socket = join(world.folder, "strange");
  const server = createHttp2Server();
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    // A DiscoveryResponse with a resource of a type of its own.
    const resource = Buffer.concat([Buffer.from([0x0a, 5]), Buffer.from("\u001b[2J\u0007")]);
    const message = Buffer.concat([Buffer.from([0x12, resource.length]), resource]);
    stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
  });
  await new Promise<void>((resolve) => server.listen(socket, () => resolve()));
  const { code, shown, told } = await run("fetch", "--socket", socket).ended;
  expect(told).toMatch(/^signet-agent: a resource cannot be used: it is a .*, no secret\n$/);
  expect(told).not.toContain("\u001b");
  expect({ code, shown }).toEqual({ code: 1, shown: "" });
  for (const session of sessions) session.destroy();
  server.close();
});

test.each([
  ["status", () => ["--watch", "--interval", "0.2", "--admin", admin], "all is well"],
  ["fetch", () => ["--watch", ...fetchFlags()], "SPIFFE ID"],
] as const)("%s --watch ends with SIGINT, as it was when last seen", async (command, flags, words) => {
  const { child, ended, output } = run(command, ...flags());
  await until("the first look", () => output.shown.includes(words), { every: 20 });
  child.kill("SIGINT");
  expect(await ended).toMatchObject({ code: 0, told: "" });
});

test("a reader that has seen enough, as head, is no error", async () => {
  const { child, ended, output } = run("status", "--watch", "--interval", "0.2", "--admin", admin);
  await until("the first look", () => output.shown !== "", { every: 20 });
  child.stdout?.destroy();
  expect(await ended).toMatchObject({ code: 0, told: "" });
});

test("Ctrl-C ends a command that waits for somebody, at once and in the shell's eyes too", async () => {
  let asked = false;
  const silent = createServer(() => {
    asked = true;
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const { child } = run("status", "--admin", `127.0.0.1:${port}`);
  const exit = once(child, "exit");
  await until("the question", () => asked, { every: 20 });
  child.kill("SIGINT");
  expect(await exit).toEqual([null, "SIGINT"]);
  silent.close();
});
