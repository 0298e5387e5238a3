import { spawnSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { agentProgram, ensureBuilt, plainEnvironment } from "../support/repo.ts";
import { lookAround, mendOf, nobody, Surroundings } from "./doctor-world.ts";
import { Kubelet } from "./kubelet.ts";
import { World } from "./world.ts";

let here: Surroundings;
beforeEach(() => {
  here = new Surroundings();
});
afterEach(() => here.end());

const look = (flags: Record<string, string> = {}, more: Parameters<typeof lookAround>[2] = {}) =>
  lookAround(here, flags, more);

/** Listens and leaves it to `serve` what becomes of connections. */
async function listen(path: string, answer: (socket: Socket) => void): Promise<() => void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  here.onEnd(stop);
  return stop;
}

describe("the socket", () => {
  test("a place where an agent can make it", async () => {
    const { sections } = await look();
    expect(sections.socket).toEqual([
      expect.stringMatching(/^ok directory \/tmp\/signet-doctor-\w+: owner \d+:\d+, mode 0700, writable$/),
      "ok nothing is at its path: an agent can make it",
    ]);
  });

  test.each<[string, () => Record<string, string>, string, string]>([
    ["no directory", () => ({ socket: here.at("missing/s") }), "is not there (ENOENT)", "mkdir -p "],
    [
      "a file for a directory",
      () => file("file", { socket: here.at("file/s") }),
      "is no directory",
      "remove it and mkdir",
    ],
    [
      "a path that is too long",
      () => ({ socket: here.at("x".repeat(120)) }),
      "a Unix socket can have 107",
      "shorter --socket",
    ],
    ["a file in its place", () => file("s", {}), "something that is no socket is at its path", "rm "],
    ["a directory in its place", () => directory("s", 0o755), "something that is no socket is at its path", "mount "],
  ])("%s", async (_what, prepare, seen, mend) => {
    const examined = await look(prepare());
    expect(examined.sections.socket?.at(-1)).toMatch(/^fail /);
    expect(examined.sections.socket?.at(-1)).toContain(seen);
    expect(mendOf(examined, seen)).toContain(mend);
    expect(examined.code).toBe(2);
  });

  test("a directory in which everybody may replace it", async () => {
    directory("open", 0o777);
    const examined = await look({ socket: here.at("open/s") });
    expect(examined.sections.socket?.[1]).toMatch(/^warn everybody may replace the socket/);
    expect(mendOf(examined, "everybody may replace")).toContain("chmod o-w");
    chmodSync(here.at("open"), 0o1777);
    expect((await look({ socket: here.at("open/s") })).sections.socket?.join()).not.toContain("everybody");
  });

  test("one that was left behind", async () => {
    const stop = await listen(here.at("first"), () => undefined);
    linkSync(here.at("first"), here.at("s"));
    stop();
    const examined = await look();
    expect(examined.sections.socket?.at(-1)).toMatch(/^warn a process that is gone left it behind/);
    expect(mendOf(examined, "a process that is gone")).toContain("start the agent");
  });

  test("one that an agent serves", async () => {
    const world = await World.start();
    const { sections } = await look({ socket: world.socket });
    expect(sections.socket?.slice(1)).toEqual([
      expect.stringMatching(/^ok a process serves it: owner \d+:\d+, mode 0666$/),
      expect.stringMatching(/^ok it answers the HTTP\/2 handshake in \d+ ms$/),
    ]);
    const other = await look({ socket: world.socket, socketMode: "0660" });
    expect(other.sections.socket?.[1]).toMatch(/^warn a process serves it: .*; --socket-mode says 0660$/);
    expect(mendOf(other, "--socket-mode says")).toContain("restart the agent");
    await world.stop();
  });

  test("one that says nothing", async () => {
    await listen(here.at("s"), () => undefined);
    chmodSync(here.at("s"), 0o666);
    const examined = await look();
    expect(examined.sections.socket?.at(-1)).toContain("no HTTP/2 handshake within 1 s");
    expect(mendOf(examined, "no HTTP/2 handshake")).toContain("Istio's agent");
    expect(examined.code).toBe(2);
  });

  test("none, where pods have their own", async () => {
    const kubelet = new Kubelet(here.folder);
    const { sections } = await look({
      socket: "off",
      csiSocket: kubelet.csiSocket,
      kubeletDir: kubelet.directory,
      nodeName: "node-1",
    });
    expect(sections.socket).toEqual(["ok off: each pod has a socket of its own (CSI)"]);
  });
});

describe("as a user that may do less", () => {
  beforeAll(ensureBuilt);

  // Who is root may do everything, so that it is seen from a process that is not.
  const asNobody = async (socket: string) => {
    const flags = ["--ca-url", nobody.caUrl, "--trust-domain", "cluster.local", "--admin", "off", "--socket", socket];
    const { stdout } = spawnSync(process.execPath, [agentProgram, "doctor", ...flags], {
      encoding: "utf8",
      env: plainEnvironment(),
      ...(process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
    });
    return stdout.replace(/\n +(?:-> )?/g, " ");
  };

  test("a directory that cannot be written to", async () => {
    chmodSync(here.folder, 0o755);
    directory("closed", 0o555);
    const shown = await asNobody(here.at("closed/s"));
    expect(shown).toMatch(/fail +directory \S+closed: owner \d+:\d+, mode 0555, not writable \(EACCES\) .*chown \d+/);
  });

  test("a socket of somebody else", async () => {
    chmodSync(here.folder, 0o755);
    directory("shared", 0o777);
    await listen(here.at("shared/s"), () => undefined);
    chmodSync(here.at("shared/s"), 0o000);
    const shown = await asNobody(here.at("shared/s"));
    expect(shown).toMatch(/fail +it cannot be connected to \(EACCES\) .*run as that user, or remove it/);
  });
});

function file(name: string, flags: Record<string, string>): Record<string, string> {
  writeFileSync(here.at(name), "");
  return flags;
}

function directory(name: string, mode: number): Record<string, string> {
  mkdirSync(here.at(name));
  chmodSync(here.at(name), mode);
  return {};
}
