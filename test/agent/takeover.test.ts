/** Processes that all want the place of sockets whose process is gone, at the same moment. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { listenOnSocket } from "@signet/node-agent/sds/socket";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { repoRoot } from "../support/repo.ts";
import { makeLogger } from "../support/test-logger.ts";

const rounds = 150;
let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signet-takeover-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** A program that takes lines and gives lines. */
function run(script: string) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    say: (line: string) => child.stdin.write(`${line}\n`),
    next: async () => String((await lines.next()).value),
  };
}

const leaver = `
  import { createServer } from "node:net";
  for (let n = 0; n < ${rounds}; n++) {
    await new Promise((resolve) => createServer().listen(process.argv[1] + "/" + n, resolve));
  }
  console.log("done");
`;

const racer = `
  import { createInterface } from "node:readline";
  import { listenOnSocket } from ${JSON.stringify(join(repoRoot, "node-agent/src/sds/socket.ts"))};
  const nothing = () => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const held = new Map();
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, path] = line.split(" ");
    if (what === "look") console.log(held.get(path)?.isAt() ?? "none");
    else {
      try {
        const onConnection = (connection) => connection.on("error", nothing).destroy();
        held.set(path, await listenOnSocket({ path, mode: 0o600, log, onConnection }));
        console.log("won");
      } catch (error) {
        console.log(error.code ?? error.message);
      }
    }
  }
`;

async function leaveDeadSockets(): Promise<void> {
  const dead = run(leaver);
  expect(await dead.next()).toBe("done");
  dead.child.kill("SIGKILL");
  await once(dead.child, "exit");
}

test("one alone gets it, keeps it, and the others are told that it is in use", async () => {
  await leaveDeadSockets();
  const racers = Array.from({ length: 5 }, () => run(racer));
  for (const { next } of racers) expect(await next()).toBe("ready");
  const answers = (line: string) => {
    for (const { say } of racers) say(line);
    return Promise.all(racers.map(({ next }) => next()));
  };
  for (let n = 0; n < rounds; n++) {
    const path = join(folder, String(n));
    expect((await answers(`take ${path}`)).sort()).toEqual([...Array(4).fill("socket-in-use"), "won"]);
    expect((await answers(`look ${path}`)).sort()).toEqual([...Array(4).fill("none"), "true"]);
  }
  expect(readdirSync(folder)).toHaveLength(rounds);
});

test("one that lost its power while it took a dead socket away keeps nobody from it for long", async () => {
  await leaveDeadSockets();
  const path = join(folder, "0");
  linkSync(path, join(folder, ".0.stale"));
  const take = () => listenOnSocket({ path, mode: 0o600, log: makeLogger(), onConnection: (one) => one.destroy() });
  await expect(take()).rejects.toMatchObject({ code: "socket-in-use" });
  const socket = await until("the socket", take);
  expect(readdirSync(folder)).toHaveLength(rounds);
  socket.close();
});
