import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listenOnSocket } from "@signet/node-agent/sds/socket";
import type { LogFields, Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, World } from "./world.ts";

let folder: string;
let path: string;
const warnings: LogFields[] = [];
const log: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields) => void warnings.push(fields),
  error: () => undefined,
};
const open: { close(): unknown }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signet-socket-"));
  path = join(folder, "uds_path");
  warnings.length = 0;
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(folder, { recursive: true });
});

async function listen(at = path, mode = 0o666) {
  const socket = await listenOnSocket({ path: at, mode, log, onConnection: (connection) => connection.destroy() });
  open.push(socket);
  return socket;
}

async function refusal(at = path): Promise<SignetError> {
  const error = await listen(at).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof SignetError) return error;
  throw new Error(`no refusal, but ${error}`);
}

async function stranger(at = path): Promise<Server> {
  const server = createServer();
  server.listen(at);
  await once(server, "listening");
  return server;
}

/** A socket whose process is gone without a word. */
async function leaveStaleSocket(): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
  const child: ChildProcess = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout !== null) await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe("made", () => {
  test.each([0o666, 0o600, 0o660])(
    "with mode %o whatever the umask, leaving nothing else in the directory",
    async (mode) => {
      const before = process.umask(0o077);
      try {
        await listen(path, mode);
      } finally {
        process.umask(before);
      }
      expect(statSync(path).mode & 0o777).toBe(mode);
      expect(readdirSync(folder)).toEqual(["uds_path"]);
    },
  );

  test("where the path has 107 bytes", async () => {
    const base = join(folder, "x".repeat(107 - folder.length - 3));
    mkdirSync(base);
    expect(Buffer.byteLength(join(base, "s"))).toBe(107);
    await listen(join(base, "s"));
  });

  test("in the place of a stale one", async () => {
    await leaveStaleSocket();
    await listen();
    await expect(listen()).rejects.toMatchObject({ code: "socket-in-use" });
  });
});

describe("refused", () => {
  test("without its directory, which is named and not made", async () => {
    const error = await refusal(join(folder, "missing", "s"));
    expect(error.code).toBe("socket-unavailable");
    expect(error.message).toContain(`the directory ${join(folder, "missing")} is not there`);
    expect(error.message).toContain("create it, or mount it");
    expect(existsSync(join(folder, "missing"))).toBe(false);
  });

  test("in a directory that takes no files", async () => {
    expect((await refusal("/proc/signet")).code).toBe("socket-unavailable");
  });

  test("below a file", async () => {
    writeFileSync(join(folder, "file"), "");
    expect((await refusal(join(folder, "file", "s"))).code).toBe("socket-unavailable");
  });

  test("with a path over 107 bytes", async () => {
    const error = await refusal(join(folder, "x".repeat(100)));
    expect(error).toMatchObject({ code: "socket-unavailable" });
    expect(error.message).toContain("107");
  });

  test.each([
    { what: "a file", make: () => writeFileSync(path, "precious") },
    { what: "a directory", make: () => mkdirSync(path) },
    { what: "a symbolic link", make: () => symlinkSync("/nowhere", path) },
  ])("where $what is, which stays", async ({ make }) => {
    make();
    expect((await refusal()).code).toBe("socket-unavailable");
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeDefined();
  });

  test("where a live one is, which stays", async () => {
    open.push(await stranger());
    const { ino } = lstatSync(path);
    expect((await refusal()).code).toBe("socket-in-use");
    expect(lstatSync(path).ino).toBe(ino);
  });
});

describe("closed", () => {
  test("takes its file away", async () => {
    (await listen()).close();
    open.length = 0;
    expect(existsSync(path)).toBe(false);
  });

  test("leaves the file of another that has come since", async () => {
    const socket = await listen();
    open.length = 0;
    rmSync(path);
    open.push(await stranger());
    socket.close();
    expect(lstatSync(path).isSocket()).toBe(true);
  });
});

test("a directory in which anybody may replace the socket is warned of", async () => {
  chmodSync(folder, 0o777);
  await listen();
  expect(warnings).toEqual([{ directory: folder }]);
  open.splice(0)[0]?.close();
  chmodSync(folder, 0o1777);
  warnings.length = 0;
  await listen();
  expect(warnings).toEqual([]);
});

test("a client that does not read gets the newest secret once it does, not all of them", async () => {
  const world = await World.start();
  try {
    world.ca.leafSeconds = 20;
    const pod = makePod();
    const stream = world
      .client()
      .withToken(world.ca.token(pod, { lifetime: 20_000 }))
      .request({ names: ["default"] });
    await stream.next();
    stream.pause();
    const rounds = 300;
    for (let n = 2; n <= rounds; n++) {
      world.clock.advance(13);
      await until(`certificate ${n}`, () => world.metrics.issuance.get("issued") === n, { every: 1 });
    }
    stream.resume();
    const last = (await world.workloads())[0]?.serialNumber;
    while ((await stream.next()).version !== last);
    // What fits into the buffers of the connection goes out, some 200 KiB; the rest is not kept.
    expect(world.metrics.pushes).toBeLessThan(rounds / 2);
  } finally {
    await world.stop();
  }
});
