/** Agents as processes: killed, replaced, started twice, started without a CA. */
import { once } from "node:events";
import { existsSync, rmSync, symlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { ensureBuilt } from "../support/repo.ts";
import { aPod } from "./csi-world.ts";
import { Kubelet } from "./kubelet.ts";
import { answer, metric, OutageWorld, untilLogged } from "./outage-world.ts";
import { makePod, serialOf } from "./world.ts";

let world: OutageWorld;

beforeAll(() => ensureBuilt());
beforeEach(async () => {
  world = await OutageWorld.start();
});
afterEach(() => world.stop());

const waits = "another process serves the socket; waiting for it to stop";

test("an agent that is killed leaves a dead socket, which the next one takes over at once", async () => {
  const first = await world.serving();
  const token = world.ca.token(makePod());
  const stream = world
    .client(first.socket)
    .withToken(token)
    .request({ names: ["default"] });
  await stream.next();
  await first.program.stop("SIGKILL");
  expect((await stream.end()).code).toBe(status.UNAVAILABLE);
  expect(existsSync(first.socket)).toBe(true);
  const second = await world.serving();
  await world
    .client(second.socket)
    .withToken(token)
    .request({ names: ["default"] })
    .next();
  expect(second.program.tail(100)).toContain("took the place of a socket that nobody serves any more");
});

test("an agent that comes while the one before is still there waits for it, and does not end", async () => {
  const first = await world.serving();
  const second = await world.launch();
  await untilLogged(second, waits);
  await first.program.stop("SIGTERM");
  expect(first.program.exitCode).toBe(0);
  await until("the second agent", async () => (await answer(second, "readyz")).status === 200, {
    giveUp: second.program.failure,
  });
  await world
    .client(second.socket)
    .withToken(world.ca.token(makePod()))
    .request({ names: ["default"] })
    .next();
});

test("of agents that are started at once one serves; the others give up with 73 and say why", async () => {
  const killed = await world.serving();
  await killed.program.stop("SIGKILL");
  const racers = await Promise.all(Array.from({ length: 4 }, () => world.launch()));
  const exits = () => racers.filter(({ program }) => !program.isRunning).map(({ program }) => program.exitCode);
  await until("all but one to end", () => exits().length >= 3);
  expect(exits()).toEqual([73, 73, 73]);
  const [winner] = racers.filter(({ program }) => program.isRunning);
  if (winner === undefined) throw new Error("none is left");
  expect(winner.program.tail(200)).toContain("is served by another process");
  expect(await answer(winner, "readyz")).toMatchObject({ status: 200 });
  await world
    .client(winner.socket)
    .withToken(world.ca.token(makePod()))
    .request({ names: ["default"] })
    .next();
});

test("an agent that is started without a CA is alive but not ready, and goes on once the CA is there", async () => {
  const token = world.ca.token(makePod());
  const first = await world.serving();
  await world
    .client(first.socket)
    .withToken(token)
    .request({ names: ["default"] })
    .next();
  await world.ca.stop();
  await first.program.stop("SIGKILL");
  const second = await world.launch();
  await until("the admin routes", async () => (await answer(second, "healthz")).status === 200);
  expect(await answer(second, "readyz")).toMatchObject({ status: 503, reason: expect.stringContaining("bundle") });
  const stream = world
    .client(second.socket)
    .withToken(token)
    .request({ names: ["default"] });
  await untilLogged(second, "will try again");
  expect(stream.received).toHaveLength(0);
  expect(stream.ended).toBeUndefined();
  await world.ca.listen();
  await stream.next();
  await until("readiness", async () => (await answer(second, "readyz")).status === 200);
  expect(second.program.isRunning).toBe(true);
});

test("a node that lost its power: dead sockets, an empty /run, and pods that come before their tokens", async () => {
  const kubelet = new Kubelet(world.folder);
  const csi = [...["--csi-socket", kubelet.csiSocket], "--kubelet-dir", kubelet.directory, "--node-name", "node-1"];
  const pod = aPod();
  const volume = { pod, token: world.ca.token(pod) };
  // The path as the pod has it, which is short enough for a socket.
  const mounted = join(world.folder, "mounted");
  symlinkSync(kubelet.target({ pod }), mounted);
  const inPod = () =>
    world
      .client(join(mounted, "socket"))
      .stream({})
      .request({ names: ["default"] });

  const before = await world.launch({ moreArgs: csi });
  await until("the registration", () => kubelet.register(), { giveUp: before.program.failure });
  await kubelet.publish(volume);
  await inPod().next();
  await before.program.stop("SIGKILL");
  rmSync(join(world.folder, "sds"), { recursive: true });
  for (const dead of [kubelet.csiSocket, kubelet.registrationSocket, kubelet.socket({ pod })]) {
    expect(existsSync(dead)).toBe(true);
  }

  const after = await world.launch({ moreArgs: csi });
  await until("the registration", () => kubelet.register(), { giveUp: after.program.failure });
  const stream = inPod();
  expect(await metric(after, "signet_agent_csi_volumes")).toBe(1);
  // The very stream from before the token has come.
  await kubelet.publish(volume);
  await stream.next();
  await until("readiness", async () => (await answer(after, "readyz")).status === 200);
  kubelet.close();
});

test("its pods come back at once: the CA sees few connections, each pod gets a certificate of its own", async () => {
  const door = await countingDoor(Number(new URL(world.ca.url).port));
  const pods = Array.from({ length: 200 }, () => world.ca.token(makePod()));
  const first = await world.serving({ caUrl: door.url });
  const comeBack = () =>
    Promise.all(
      pods.map(async (token) => {
        const response = await world
          .client(first.socket)
          .withToken(token)
          .request({ names: ["default"] })
          .next();
        return serialOf(response);
      }),
    );
  const before = await comeBack();
  await first.program.stop("SIGKILL");
  await world.serving({ caUrl: door.url });
  const after = await comeBack();
  expect(new Set([...before, ...after]).size).toBe(2 * pods.length);
  // Of requests to a CA that takes batches, four at once; one for the trust bundle; and one spare.
  expect(door.most()).toBeLessThanOrEqual(6);
  door.close();
});

/** A way to a port that counts how many connections are open at once. */
async function countingDoor(port: number) {
  let open = 0;
  let most = 0;
  const server = createServer((client) => {
    most = Math.max(most, ++open);
    const upstream = connect(port, "127.0.0.1");
    client.pipe(upstream).pipe(client);
    for (const end of [client, upstream]) end.on("error", () => undefined);
    client.once("close", () => {
      open--;
      upstream.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const url = `http://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}`;
  return { url, most: () => most, close: () => server.close() };
}
