import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { examineSystem } from "@signet/node-agent/doctor/system";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { serve, serveText, stopAll, well } from "./admin-stand-in.ts";
import { lookAround, mendOf, Surroundings } from "./doctor-world.ts";
import { Kubelet } from "./kubelet.ts";
import { World } from "./world.ts";

let here: Surroundings;
beforeEach(() => {
  here = new Surroundings();
});
afterEach(async () => {
  stopAll();
  await here.end();
});

const look = (flags: Record<string, string> = {}, more: Parameters<typeof lookAround>[2] = {}) =>
  lookAround(here, flags, more);

describe("the agent that runs", () => {
  test("is ready, and of this version", async () => {
    const world = await World.start();
    const admin = new URL(world.agent.adminUrl ?? "").host;
    const { sections } = await look({ admin, socket: world.socket });
    expect(sections.agent).toEqual(["ok it is ready", expect.stringMatching(/^ok version \d/)]);
    await world.stop();
  });

  test("is not there", async () => {
    const examined = await look({ admin: "127.0.0.1:1" });
    expect(examined.sections.agent).toEqual(["warn no agent runs here"]);
    expect(mendOf(examined, "no agent runs")).toContain("signet-agent run");
  });

  test("does not answer, while somebody serves its socket", async () => {
    const world = await World.start();
    const examined = await look({ admin: "127.0.0.1:1", socket: world.socket });
    expect(examined.sections.agent?.[0]).toMatch(
      /^fail no agent answers at 127\.0\.0\.1:1: .*But somebody serves its socket$/,
    );
    expect(mendOf(examined, "somebody serves its socket")).toContain("--admin");
    await world.stop();
  });

  test("is of another version", async () => {
    const examined = await look({ admin: await serve(well) });
    expect(examined.sections.agent?.[1]).toMatch(/^warn it is of version 1\.2\.3, this program of \d/);
    expect(mendOf(examined, "it is of version")).toContain("restart");
  });

  test("is not ready, is something else, or too old to be asked", async () => {
    const unready = await look({ admin: await serveText('{"ready":false,"reason":"no trust bundle"}', 503) });
    expect(unready.sections.agent?.[0]).toBe("fail it is not ready: no trust bundle");
    const mute = await look({ admin: await serveText("busy", 503) });
    expect(mute.sections.agent?.[0]).toBe("fail it is not ready: no reason given");
    const other = await look({ admin: await serveText("hello", 404) });
    expect(other.sections.agent?.[0]).toBe("fail /readyz answers 404");
    const old = await look({ admin: await serveText('{"ready":true}') });
    expect(old.sections.agent?.[1]).toMatch(/^warn what answers at .* is no agent of this version/);
  });
});

const settingsOf = (kubelet: Kubelet) => ({
  csiSocket: kubelet.csiSocket,
  kubeletDir: kubelet.directory,
  nodeName: "node-1",
});

describe("the CSI driver", () => {
  async function running() {
    const world = await World.withoutAgent();
    const kubelet = new Kubelet(world.folder);
    await world.startAgent(kubelet.settings);
    const admin = new URL(world.agent.adminUrl ?? "").host;
    const examineIt = (flags: Record<string, string> = {}) =>
      look({ ...settingsOf(kubelet), admin, socket: world.socket, ...flags });
    const stop = async () => {
      kubelet.close();
      await world.stop();
    };
    return { world, kubelet, examineIt, stop };
  }

  test("is registered, or waits for it, or tells of another endpoint", async () => {
    const { examineIt, kubelet, stop } = await running();
    const waiting = await examineIt();
    expect(waiting.sections.CSI?.at(-1)).toBe("fail the kubelet has not registered the CSI driver yet");
    expect(mendOf(waiting, "the kubelet has not registered")).toContain("kubectl get csidriver");
    await kubelet.register();
    const { sections } = await examineIt();
    expect(sections.CSI).toEqual([
      `ok ${join(kubelet.directory, "plugins_registry")} is there and writable`,
      `ok ${join(kubelet.directory, "pods")} is there and writable`,
      expect.stringMatching(/^ok \S+ is there and writable$/),
      `ok ${kubelet.csiSocket} is served`,
      `ok it tells the kubelet to come to ${kubelet.csiSocket}`,
      "ok the kubelet has registered it; 0 volumes",
    ]);
    const moved = await examineIt({ csiEndpoint: "/elsewhere.sock" });
    expect(moved.sections.CSI?.[4]).toMatch(
      /^warn it tells the kubelet to come to .*; the settings here say \/elsewhere\.sock$/,
    );
    await stop();
  });

  test("has lost its sockets", async () => {
    const kubelet = new Kubelet(here.folder);
    writeFileSync(kubelet.registrationSocket, "");
    const examined = await look(settingsOf(kubelet));
    expect(examined.sections.CSI?.[3]).toBe(`fail ${kubelet.csiSocket} is not served (ENOENT)`);
    expect(examined.sections.CSI?.[4]).toMatch(/^fail the registration socket: /);
    expect(mendOf(examined, "is not served")).toContain("restart the agent");
  });

  test("has no directories", async () => {
    const kubelet = new Kubelet(here.folder);
    rmSync(kubelet.directory, { recursive: true });
    const examined = await look(settingsOf(kubelet));
    expect(examined.sections.CSI?.slice(0, 2)).toEqual([
      `fail ${join(kubelet.directory, "plugins_registry")} cannot be used (ENOENT)`,
      `fail ${join(kubelet.directory, "pods")} cannot be used (ENOENT)`,
    ]);
    expect(mendOf(examined, "cannot be used")).toContain("--kubelet-dir");
  });

  test("waits for tokens, or is none", async () => {
    const kubelet = new Kubelet(here.folder);
    const csi = { registered: true, reason: null, volumes: 3, withoutToken: 2 };
    const waiting = await look({ ...settingsOf(kubelet), admin: await serve({ ...well, csi }) });
    expect(waiting.sections.CSI?.at(-1)).toBe("warn registered, 3 volumes, 2 of them without a token yet");
    expect(mendOf(waiting, "without a token yet")).toContain("tokenRequests");
    const none = await look({ ...settingsOf(kubelet), admin: await serve({ ...well, csi: null }) });
    expect(none.sections.CSI?.at(-1)).toBe("fail the agent that runs is no CSI driver");
  });
});

describe("the system", () => {
  const limits = (soft: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}                 524288               files     \n`;
  const now = Date.UTC(2026, 10, 25) / 1_000;
  const seen = (at: number, text = limits("8192")) =>
    examineSystem(at, text).findings.map((one) => `${one.level} ${one.seen}`);

  test.each([
    ["unlimited", "ok unlimited file descriptors"],
    ["8192", "ok 8192 file descriptors"],
    ["1024", "warn 1024 file descriptors"],
    ["255", "fail 255 file descriptors"],
  ])("%s file descriptors", (soft, line) => {
    expect(seen(now, limits(soft))[1]).toContain(line);
  });

  test("a clock that cannot be right", () => {
    expect(seen(now)[0]).toBe("ok clock 2026-11-25T00:00:00.000Z");
    expect(seen(86_400)[0]).toBe("fail the clock says 1970-01-02T00:00:00.000Z, which cannot be");
    expect(seen(now + 80 * 365 * 86_400)[0]).toMatch(/^fail the clock says 2106/);
    expect(seen(now, "")).toHaveLength(1);
  });
});
