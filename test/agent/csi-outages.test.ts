/** Sockets of single pods, and the kubelet's, when something takes them away while the agent runs. */
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import type { Pod } from "../support/scripted-ca.ts";
import { aPod, CsiWorld, idOf } from "./csi-world.ts";
import type { Kubelet } from "./kubelet.ts";
import { serialOf, type World } from "./world.ts";

let csi: CsiWorld;
let world: World;
let kubelet: Kubelet;

beforeEach(async () => {
  csi = await CsiWorld.start();
  ({ world, kubelet } = csi);
});
afterEach(() => csi.stop());

const streamIn = (pod: Pod) =>
  csi
    .inside(pod)
    .stream({})
    .request({ names: ["default"] });
const restored = (role: string, times = 1) =>
  until(`the socket (${role})`, () => world.metrics.restoredSockets.get(role) === times, { every: 5 });

describe("a pod's socket that was taken away is made again, without the kubelet, and its streams live on", () => {
  test.each([
    { what: "the file removed", take: (pod: Pod) => unlinkSync(kubelet.socket({ pod })) },
    { what: "the directory deleted", take: (pod: Pod) => rmSync(kubelet.target({ pod }), { recursive: true }) },
    {
      what: "the directory moved away and made anew",
      take: (pod: Pod) => {
        renameSync(kubelet.target({ pod }), `${kubelet.target({ pod })}.old`);
        mkdirSync(kubelet.target({ pod }));
      },
    },
  ])("$what", async ({ take }) => {
    const [pod, other] = [aPod(), aPod("httpbin")];
    for (const one of [pod, other])
      await kubelet.publish({ pod: one, token: world.ca.token(one, { lifetime: 7_200 }) });
    const stream = streamIn(pod);
    const first = await stream.nextAcked(["default"]);
    const { ino } = lstatSync(kubelet.socket({ pod: other }));
    take(pod);
    world.clock.advance(11);
    await restored("pod");
    expect(readdirSync(kubelet.target({ pod }))).toEqual(["socket"]);
    expect(lstatSync(kubelet.socket({ pod })).mode & 0o777).toBe(0o666);
    expect(lstatSync(kubelet.socket({ pod: other })).ino).toBe(ino);
    const again = await streamIn(pod).next();
    expect(serialOf(again)).toBe(serialOf(first));
    expect(idOf(again)).toContain("sa/sleep");
    world.clock.advance(1_801);
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
  });

  test("as soon as the kubelet publishes the volume again, if that is sooner", async () => {
    const pod = aPod();
    const token = world.ca.token(pod);
    await kubelet.publish({ pod, token });
    const stream = streamIn(pod);
    await stream.nextAcked(["default"]);
    unlinkSync(kubelet.socket({ pod }));
    await kubelet.publish({ pod, token });
    expect(world.metrics.restoredSockets.get("pod")).toBe(1);
    await streamIn(pod).next();
    expect(stream.ended).toBeUndefined();
  });
});

test("what cannot be made again is logged once; a fresh token is taken; the socket comes later", async () => {
  const pod = aPod();
  await kubelet.publish({ pod, token: world.ca.token(pod, { lifetime: 600 }) });
  const stream = streamIn(pod);
  const first = await stream.nextAcked(["default"]);
  const cannot = "a pod's socket is gone and cannot be made again";
  unlinkSync(kubelet.socket({ pod }));
  writeFileSync(kubelet.socket({ pod }), "no socket");
  world.clock.advance(11);
  await world.untilLogged(cannot);
  for (let round = 0; round < 3; round++) world.clock.advance(11);
  await expect(kubelet.publish({ pod, token: world.ca.token(pod, { lifetime: 7_200 }) })).rejects.toThrow("no socket");
  expect(world.lines.filter(({ message }) => message === cannot)).toHaveLength(1);
  // The token from before ran out long ago.
  world.clock.advance(1_801);
  expect(serialOf(await stream.next())).not.toBe(serialOf(first));
  unlinkSync(kubelet.socket({ pod }));
  world.clock.advance(11);
  await restored("pod");
  await streamIn(pod).next();
});

test("where the agent before has not left a pod's socket yet, the next takes it as soon as it has", async () => {
  const [pod, gone] = [aPod(), aPod("httpbin")];
  for (const one of [pod, gone]) await kubelet.publish({ pod: one, token: world.ca.token(one) });
  await world.agent.stop();
  const before = await Promise.all([pod, gone].map((one, n) => leaving(kubelet.target({ pod: one }), n)));
  await world.startAgent(kubelet.settings);
  await world.untilLogged("a pod's socket cannot be made again yet");
  await kubelet.unpublish({ pod: gone });
  for (const server of before) server.close();
  world.clock.advance(2);
  await until("the socket", () => isServed(join(world.folder, "leaving-0/socket")), { every: 5 });
  const stream = streamIn(pod);
  await kubelet.publish({ pod, token: world.ca.token(pod) });
  expect(idOf(await stream.next())).toContain("sa/sleep");
  world.clock.advance(11);
  await kubelet.probe();
  expect(existsSync(kubelet.target({ pod: gone }))).toBe(false);
});

/** A socket in the pod's directory that is still served, and stays as a dead one. */
async function leaving(directory: string, n: number): Promise<Server> {
  const server = createServer();
  const mounted = join(world.folder, `leaving-${n}`);
  symlinkSync(directory, mounted);
  server.listen(join(mounted, "bound"));
  await once(server, "listening");
  rmSync(join(mounted, "socket"));
  renameSync(join(mounted, "bound"), join(mounted, "socket"));
  return server;
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket
      .once("error", () => resolve(false))
      .once("connect", () => {
        socket.destroy();
        resolve(true);
      });
  });
}

test("a pod whose volume the kubelet has taken down is not given a socket again", async () => {
  const [gone, calm] = [aPod(), aPod("httpbin")];
  for (const pod of [gone, calm]) await kubelet.publish({ pod, token: world.ca.token(pod) });
  await kubelet.unpublish({ pod: gone });
  unlinkSync(kubelet.socket({ pod: calm }));
  world.clock.advance(11);
  await restored("pod");
  expect(existsSync(kubelet.target({ pod: gone }))).toBe(false);
});

describe("the kubelet's sockets", () => {
  test("csi.sock is made again at once", async () => {
    await kubelet.register();
    unlinkSync(kubelet.csiSocket);
    await restored("csi");
    expect(lstatSync(kubelet.csiSocket).mode & 0o777).toBe(0o600);
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    await until("the agent to be ready", async () => (await csi.readiness()).status === 200, { every: 5 });
  });

  test("so is the registration socket, and the agent is not ready until the kubelet has come again", async () => {
    await until("the bundle", async () => (await csi.readiness()).reason?.includes("registered"), { every: 5 });
    await kubelet.register();
    expect(await csi.readiness()).toMatchObject({ status: 200 });
    unlinkSync(kubelet.registrationSocket);
    await restored("registration");
    expect(await csi.readiness()).toMatchObject({
      status: 503,
      reason: expect.stringContaining("the kubelet has not come yet"),
    });
    await kubelet.register();
    expect((await csi.readiness()).status).toBe(200);
  });

  test("and all of them, when plugins_registry itself is made anew", async () => {
    const registry = `${kubelet.directory}/plugins_registry`;
    chmodSync(registry, 0o750);
    rmSync(registry, { recursive: true });
    world.clock.advance(6);
    await restored("registration");
    expect(lstatSync(registry).mode & 0o777).toBe(0o750);
    await kubelet.register();
  });

  test("lost for good: told by readiness, with the reason", async () => {
    unlinkSync(kubelet.csiSocket);
    mkdirSync(kubelet.csiSocket);
    await world.untilLogged("the socket is gone and cannot be made again");
    expect(await csi.readiness()).toMatchObject({ status: 503, reason: expect.stringContaining("csi.sock") });
    rmSync(kubelet.csiSocket, { recursive: true });
    await restored("csi");
  });
});

test("an agent that stops while it makes sockets again neither waits nor leaves them half made", async () => {
  const pods = Array.from({ length: 10 }, () => aPod());
  for (let round = 0; round < 5; round++) {
    for (const pod of pods) await kubelet.publish({ pod, token: world.ca.token(pod) });
    for (const pod of pods) unlinkSync(kubelet.socket({ pod }));
    world.clock.advance(11);
    await world.agent.stop();
    for (const pod of pods) for (const name of readdirSync(kubelet.target({ pod }))) expect(name).toBe("socket");
    await world.startAgent(kubelet.settings);
  }
});
