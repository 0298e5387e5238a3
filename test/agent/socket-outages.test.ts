/** The shared socket when something happens to it, its directory or its disk while the agent runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Settings } from "@signet/node-agent/config";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { SdsClient, type SdsStreamClient } from "./sds-client.ts";
import { makePod, serialOf, World } from "./world.ts";

let world: World;
let directory: string;
let socket: string;
let token: string;
const clients: SdsClient[] = [];

beforeEach(async () => {
  world = await World.withoutAgent();
  directory = join(world.folder, "sds");
  socket = join(directory, "uds_path");
  token = world.ca.token(makePod(), { lifetime: 7_200 });
  mkdirSync(directory, { mode: 0o755 });
  await world.startAgent(at(socket));
  await until("the bundle", async () => (await get("readyz")).status === 200, { every: 5 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await world.stop();
});

const at = (path: string): Settings => ({ socket: { value: path, source: "test" } });

function streamTo(path = socket): SdsStreamClient {
  const client = new SdsClient(path);
  clients.push(client);
  return client.withToken(token).request({ names: ["default"] });
}

async function get(route: "healthz" | "readyz"): Promise<{ status: number; reason?: string }> {
  const response = await fetch(`${world.agent.adminUrl}/${route}`);
  return { ...((await response.json()) as { reason?: string }), status: response.status };
}

async function untilRestored(times = 1): Promise<void> {
  await until("the socket", () => world.metrics.restoredSockets.get("shared") === times, { every: 5 });
}

/** A stream from before goes on: what the agent has anew comes on it. */
async function expectRenewalOn(stream: SdsStreamClient, before: string): Promise<void> {
  world.clock.advance(1_801);
  expect(serialOf(await stream.next())).not.toBe(before);
}

const timesLogged = (message: string) => world.lines.filter((line) => line.message === message).length;
const madeAgain = "the socket was taken away; made it again";
const cannot = "the socket is gone and cannot be made again";

async function stranger(path = socket): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  server.listen(path);
  await once(server, "listening");
  return server;
}

describe("made again, while streams that are there live on", () => {
  test.each([
    { what: "the file is removed", change: () => unlinkSync(socket) },
    { what: "the file is renamed", change: () => renameSync(socket, join(directory, "other")) },
    { what: "the directory is deleted", change: () => rmSync(directory, { recursive: true }) },
    {
      what: "the directory is deleted and made anew",
      change: () => {
        rmSync(directory, { recursive: true });
        mkdirSync(directory);
      },
    },
    {
      what: "the directory is moved away and made anew",
      change: () => {
        renameSync(directory, `${directory}.old`);
        mkdirSync(directory);
      },
    },
  ])("$what", async ({ change }) => {
    const stream = streamTo();
    const first = await stream.nextAcked(["default"]);
    change();
    await untilRestored();
    expect(readdirSync(directory)).toContain("uds_path");
    expect(lstatSync(socket).mode & 0o777).toBe(0o666);
    expect(serialOf(await streamTo().next())).toBe(serialOf(first));
    expect(timesLogged(madeAgain)).toBe(1);
    expect((await get("readyz")).status).toBe(200);
    await expectRenewalOn(stream, serialOf(first));
  });

  test("the directory gets back the mode that it had", async () => {
    chmodSync(directory, 0o1770);
    rmSync(directory, { recursive: true });
    await untilRestored();
    expect(statSync(directory).mode & 0o7777).toBe(0o1770);
  });

  test("what a process left that is gone is in its place", async () => {
    const script = `require("node:net").createServer().listen(process.argv[1], () => console.log("up"))`;
    const child: ChildProcess = spawn(process.execPath, ["-e", script, join(directory, "left")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (child.stdout !== null) await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    renameSync(join(directory, "left"), socket);
    await untilRestored();
    await streamTo().next();
  });

  test("any number of times, with no descriptor more", async () => {
    const stream = streamTo();
    const first = await stream.nextAcked(["default"]);
    await untilRemade(1);
    const descriptors = readdirSync("/proc/self/fd").length;
    for (let round = 2; round <= 5; round++) await untilRemade(round);
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(descriptors + 4);
    await expectRenewalOn(stream, serialOf(first));

    async function untilRemade(round: number): Promise<void> {
      unlinkSync(socket);
      world.clock.advance(31);
      await untilRestored(round);
    }
  });

  test("pods that have a directory that was moved away find the socket in it, as new ones do in the new", async () => {
    const moved = join(world.folder, "moved");
    renameSync(directory, moved);
    mkdirSync(directory);
    await untilRestored();
    const old = await streamTo(join(moved, "uds_path")).next();
    expect(serialOf(await streamTo().next())).toBe(serialOf(old));
    rmSync(moved, { recursive: true });
    const descriptors = readdirSync("/proc/self/fd").length;
    world.clock.advance(5);
    await until("the old socket to be closed", () => readdirSync("/proc/self/fd").length < descriptors, { every: 5 });
  });
});

describe("reported, tried again and mended later", () => {
  test("another process' socket is at the path: it stays, and is not logged in a loop", async () => {
    const stream = streamTo();
    const first = await stream.nextAcked(["default"]);
    const theirs = await stranger(join(directory, "theirs"));
    const { ino } = lstatSync(join(directory, "theirs"));
    renameSync(join(directory, "theirs"), socket);
    await world.untilLogged(cannot);
    expect(await get("readyz")).toMatchObject({ status: 503, reason: expect.stringContaining("another process") });
    // A restart would only cut the streams that live on.
    expect((await get("healthz")).status).toBe(200);
    for (let round = 0; round < 5; round++) world.clock.advance(31);
    await expectRenewalOn(stream, serialOf(first));
    expect(lstatSync(socket).ino).toBe(ino);
    expect(timesLogged(cannot)).toBe(1);
    theirs.close();
    world.clock.advance(31);
    await untilRestored();
    await streamTo().next();
    expect((await get("readyz")).status).toBe(200);
  });

  test("a file is at the path: it stays until somebody removes it", async () => {
    unlinkSync(socket);
    writeFileSync(socket, "precious");
    await world.untilLogged(cannot);
    expect(await get("readyz")).toMatchObject({ status: 503, reason: expect.stringContaining("no socket") });
    expect(existsSync(socket)).toBe(true);
    unlinkSync(socket);
    await untilRestored();
  });

  test("what is above the directory is gone, too: that is not made", async () => {
    const deep = join(world.folder, "above/sds");
    mkdirSync(deep, { recursive: true });
    await world.agent.stop();
    await world.startAgent(at(join(deep, "uds_path")));
    renameSync(join(world.folder, "above"), join(world.folder, "away"));
    world.clock.advance(5);
    const { fields } = await world.untilLogged(cannot);
    expect(fields.reason).toContain(`${deep} is not there`);
    expect(existsSync(join(world.folder, "above"))).toBe(false);
    renameSync(join(world.folder, "away"), join(world.folder, "above"));
    await until("the agent to be ready", async () => (await get("readyz")).status === 200, { every: 5 });
    await streamTo(join(deep, "uds_path")).next();
  });

  test("readiness tells of a removed file at once, before it is made again", async () => {
    unlinkSync(socket);
    // Looked up in the same turn of the event loop as the removal, as far as the agent is concerned.
    const answer = await get("readyz");
    if (answer.status === 200) expect(existsSync(socket)).toBe(true);
    else expect(answer.reason).toContain("taken away");
    await untilRestored();
  });
});

test("an agent that stops while it makes its socket again leaves none", async () => {
  for (let round = 0; round < 10; round++) {
    unlinkSync(socket);
    world.clock.advance(31);
    await world.agent.stop();
    expect(readdirSync(directory)).toEqual([]);
    await world.startAgent(at(socket));
  }
});
