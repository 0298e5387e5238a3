/** Agents as processes that run out of disk, of readers of their log, of file descriptors. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { runToEnd } from "../support/processes.ts";
import { ensureBuilt, repoRoot } from "../support/repo.ts";
import { aPod } from "./csi-world.ts";
import { Kubelet } from "./kubelet.ts";
import { answer, type Launched, metric, OutageWorld, untilLogged } from "./outage-world.ts";
import { makePod, serialOf } from "./world.ts";

let world: OutageWorld;

beforeAll(() => ensureBuilt());
beforeEach(async () => {
  world = await OutageWorld.start();
});
afterEach(() => world.stop());

const streamOf = ({ socket }: Pick<Launched, "socket">, token = world.ca.token(makePod())) =>
  world
    .client(socket)
    .withToken(token)
    .request({ names: ["default"] });

/** Certificates are renewed all the time: a stream goes on exactly as long as the agent, its CA and its files do. */
async function expectRenewals(stream: ReturnType<typeof streamOf>, count = 2): Promise<void> {
  for (let n = 0; n < count; n++) await stream.nextAcked(["default"]);
}

// Only root may mount; CI is root, so that nothing is left out there.
const isRoot = process.getuid?.() === 0;
describe.skipIf(!isRoot && process.env.CI === undefined)("a full disk (needs root, to mount a small one)", () => {
  /** The agent alone sees a small disk there; the test reaches it through the agent's process. */
  const withDisk = (at: string, options: string) => [
    ...[
      "unshare",
      "--mount",
      "sh",
      "-c",
      'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"',
      "sh",
      options,
      at,
    ],
  ];
  const seen = ({ program }: Launched, path: string) => join(`/proc/${program.pid}/root`, path);

  /** Fills it, file by file. @returns what makes room again */
  function fill(directory: string): () => void {
    const files: string[] = [];
    for (;;) {
      const file = join(directory, `filler-${files.length}`);
      try {
        closeSync(openSync(file, "w"));
        files.push(file);
      } catch (error) {
        expect(error).toMatchObject({ code: "ENOSPC" });
        return () => {
          for (const one of files) unlinkSync(one);
        };
      }
    }
  }

  test("at start: exit code 73, and one line that says what to do", async () => {
    const directory = join(world.folder, "sds");
    const agent = await world.launch({ under: withDisk(directory, "nr_inodes=1") });
    await agent.program.ended;
    expect(agent.program.exitCode).toBe(73);
    expect(agent.program.tail().split("\n")).toHaveLength(1);
    expect(agent.program.tail()).toMatch(/takes no socket \(ENOSPC\); its disk is full/);
  });

  test("the socket is taken away: not ready, with the reason, until there is room", async () => {
    world.ca.leafSeconds = 2;
    const directory = join(world.folder, "sds");
    const agent = await world.serving({ under: withDisk(directory, "nr_inodes=16") });
    const stream = streamOf({ socket: seen(agent, agent.socket) });
    await stream.nextAcked(["default"]);
    unlinkSync(seen(agent, agent.socket));
    const makeRoom = fill(seen(agent, directory));
    await untilLogged(agent, "the socket is gone and cannot be made again");
    expect(await answer(agent, "readyz")).toMatchObject({
      status: 503,
      reason: expect.stringContaining("disk is full"),
    });
    expect(await answer(agent, "healthz")).toMatchObject({ status: 200 });
    await expectRenewals(stream);
    makeRoom();
    await until("the socket", () => existsSync(seen(agent, agent.socket)));
    await streamOf({ socket: seen(agent, agent.socket) }).next();
    await until("readiness", async () => (await answer(agent, "readyz")).status === 200);
  });

  test("it is mounted read-only: clients still connect; what is taken away comes back later", async () => {
    const directory = join(world.folder, "sds");
    const agent = await world.serving({ under: withDisk(directory, "nr_inodes=16") });
    const remount = (how: "ro" | "rw") =>
      runToEnd("nsenter", [
        `--mount=/proc/${agent.program.pid}/ns/mnt`,
        "mount",
        "-o",
        `remount,bind,${how}`,
        directory,
      ]);
    const inside = { socket: seen(agent, agent.socket) };
    await remount("ro");
    await streamOf(inside).next();
    expect(await answer(agent, "readyz")).toMatchObject({ status: 200 });
    await remount("rw");
    unlinkSync(inside.socket);
    mkdirSync(inside.socket);
    await untilLogged(agent, "something that is no socket is there");
    rmdirSync(inside.socket);
    await remount("ro");
    await until("the reason", async () => (await answer(agent, "readyz")).reason?.includes("cannot be written to"));
    await remount("rw");
    await until("readiness", async () => (await answer(agent, "readyz")).status === 200);
    await streamOf(inside).next();
    await remount("ro");
    await agent.program.stop("SIGTERM");
    expect(agent.program.exitCode).toBe(0);
    expect(agent.program.tail()).toContain("the socket cannot be taken away");
  });

  test("a pod comes: the kubelet is told why it gets no socket, and gets it once there is room", async () => {
    const kubelet = new Kubelet(world.folder);
    const pods = join(kubelet.directory, "pods");
    const agent = await world.launch({
      under: withDisk(pods, "nr_inodes=64"),
      moreArgs: ["--csi-socket", kubelet.csiSocket, "--kubelet-dir", kubelet.directory, "--node-name", "node-1"],
    });
    await until("the registration", () => kubelet.register(), { giveUp: agent.program.failure });
    const pod = aPod();
    mkdirSync(seen(agent, kubelet.volumeDirectory({ pod })), { recursive: true });
    const request = kubelet.request({ pod, token: world.ca.token(pod) });
    const makeRoom = fill(seen(agent, pods));
    await expect(kubelet.publishRaw(request)).rejects.toThrow(/ENOSPC/);
    expect(await metric(agent, "signet_agent_csi_publish_total")).toBe(1);
    makeRoom();
    await kubelet.publishRaw(request);
    expect(existsSync(seen(agent, kubelet.socket({ pod })))).toBe(true);
    kubelet.close();
  });

  test("the log cannot be written: the agent goes on, counts the lines, and says so once there is room", async () => {
    world.ca.leafSeconds = 2;
    const disk = join(world.folder, "disk");
    mkdirSync(disk);
    const log = join(disk, "log");
    const agent = await world.serving({
      under: [...withDisk(disk, "size=16k"), "sh", "-c", `exec "$@" 2>>${log}`, "sh"],
      moreArgs: ["--log-level", "debug"],
    });
    const filler = seen(agent, join(disk, "filler"));
    expect(() => writeFileSync(filler, Buffer.alloc(64_000))).toThrow("ENOSPC");
    const stream = streamOf(agent);
    await until("lines to be lost", async () => {
      await streamOf(agent).next();
      return (await metric(agent, "signet_agent_log_lines_lost_total")) > 0;
    });
    await expectRenewals(stream);
    rmSync(filler);
    await until("a word of it", async () => {
      await streamOf(agent).next();
      return readFileSync(seen(agent, log), "utf8").includes("log lines were lost");
    });
  });
});

describe("nobody reads the log", () => {
  test.each([
    { what: "the reader has gone", reader: "head -n 1 >/dev/null" },
    { what: "the reader sleeps, and the pipe is full", reader: "exec sleep 1000" },
  ])("$what: the agent goes on", async ({ reader }) => {
    world.ca.leafSeconds = 2;
    const agent = await world.serving({
      under: ["bash", "-c", `exec "$@" 2> >(${reader})`, "bash"],
      moreArgs: ["--log-level", "debug"],
    });
    const stream = streamOf(agent);
    await until(
      "lines to be lost",
      async () => {
        await Promise.all(Array.from({ length: 20 }, () => streamOf(agent).next()));
        return (await metric(agent, "signet_agent_log_lines_lost_total")) > 0;
      },
      { every: 1 },
    );
    await expectRenewals(stream);
    expect(await answer(agent, "readyz")).toMatchObject({ status: 200 });
    await agent.program.stop("SIGTERM");
    expect(agent.program.exitCode).toBe(0);
  });
});

test("standard error that would block is not what lines are written to", async () => {
  const script = `
    import { readFileSync } from "node:fs";
    import { standardError } from ${JSON.stringify(join(repoRoot, "node-agent/src/log-sink.ts"))};
    const flags = /flags:\\s+(\\d+)/.exec(readFileSync("/proc/self/fdinfo/2", "utf8"))[1];
    const isBlocking = (parseInt(flags, 8) & 0o4000) === 0;
    const write = standardError();
    let code;
    while (code === undefined) try { write(new Uint8Array(1_000)); } catch (error) { code = error.code; }
    console.log(isBlocking, code);
  `;
  const { stdout } = await runToEnd("sh", [
    ...["-c", 'mkfifo "$1" && exec 9<>"$1" 2>&9 && shift && exec "$@"', "sh", join(world.folder, "pipe")],
    ...[process.execPath, "--input-type=module", "-e", script],
  ]);
  expect(stdout.trim()).toBe("true EAGAIN");
});

test("the node's token is written on a full disk, empty: the one before stays in use until the next", async () => {
  world.ca.leafSeconds = 2;
  const before = world.ca.token(makePod());
  writeFileSync(world.nodeToken, before);
  const agent = await world.serving();
  const stream = streamOf(agent);
  await expectRenewals(stream, 1);
  writeFileSync(world.nodeToken, "");
  await untilLogged(agent, "file cannot be read");
  const asked = world.ca.requests.length;
  await expectRenewals(stream, 3);
  expect(world.ca.requests.slice(asked).map(({ nodeToken }) => nodeToken)).toContain(before);
  expect(agent.program.tail(1_000).split("file cannot be read")).toHaveLength(2);
  const next = world.ca.token(makePod());
  writeFileSync(world.nodeToken, next);
  await until("the next token", () => world.ca.requests.at(-1)?.nodeToken === next);
});

describe("few file descriptors", () => {
  const limitedTo = (count: number) => ["sh", "-c", `ulimit -n ${count} && exec "$@"`, "sh"];
  const flooding: Socket[] = [];
  afterEach(() => {
    for (const socket of flooding.splice(0)) socket.destroy();
  });

  /** Connects any number of times and holds what it gets. */
  function flood(socket: string, count: number): void {
    for (let n = 0; n < count; n++) {
      const one = connect(socket);
      one.on("error", () => undefined);
      flooding.push(one);
    }
  }

  test("a flood of connections: streams live on, the CA is asked, and others are served", async () => {
    world.ca.leafSeconds = 2;
    const agent = await world.serving({ under: limitedTo(64) });
    expect(agent.program.tail(50)).toContain("few file descriptors");
    const stream = streamOf(agent);
    await stream.nextAcked(["default"]);
    flood(agent.socket, 300);
    await until(
      "connections to be refused",
      async () => (await metric(agent, "signet_agent_sds_refused_connections_total")) > 0,
    );
    // One that says who it is comes in meanwhile: silent ones make room.
    await streamOf(agent).nextAcked(["default"]);
    await expectRenewals(stream, 4);
    expect(await answer(agent, "readyz")).toMatchObject({ status: 200 });
    for (const socket of flooding.splice(0)) socket.destroy();
    await streamOf(agent).nextAcked(["default"]);
    expect(agent.program.tail(1_000)).not.toContain("EMFILE");
  });

  test("a flood on the shared socket takes nothing from a pod's own", async () => {
    const kubelet = new Kubelet(world.folder);
    const agent = await world.launch({
      under: limitedTo(256),
      moreArgs: ["--csi-socket", kubelet.csiSocket, "--kubelet-dir", kubelet.directory, "--node-name", "node-1"],
    });
    await until("the registration", () => kubelet.register(), { giveUp: agent.program.failure });
    flood(agent.socket, 600);
    await until(
      "connections to be refused",
      async () => (await metric(agent, "signet_agent_sds_refused_connections_total")) > 0,
    );
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    // The path as the pod has it, which is short enough for a socket.
    const mounted = join(world.folder, "mounted");
    symlinkSync(kubelet.target({ pod }), mounted);
    const svid = await world
      .client(join(mounted, "socket"))
      .stream({})
      .request({ names: ["default"] })
      .next();
    expect(serialOf(svid)).not.toBe("");
    kubelet.close();
  });
});
