import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClosedDoor } from "../support/closed-door.ts";
import { call, Load } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { until } from "../support/poll.ts";
import { World } from "./world.ts";

let world: World;
let mesh: Mesh;
let door: ClosedDoor;

// One outage for the whole file: identities live an hour, so all that follows happens without a CA.
beforeAll(async () => {
  world = await World.create();
  mesh = await world.addMesh("main");
  door = await world.killCa();
});
afterAll(() => world?.close());

it("lets traffic flow without a CA", async () => {
  const load = new Load(mesh.pairs);
  await until("two hundred requests", () => load.report().requests >= 200);
  expect(await load.stop()).toMatchObject({ failures: 0, examples: [] });
});

it("gives a restarted Envoy its identity from the agent's memory", async () => {
  for (const { envoy, spiffeId } of mesh.workloads) {
    const before = await envoy.admin.certificate();
    const pid = envoy.pid;
    await envoy.stop();
    await envoy.start();
    await envoy.untilReady();
    expect(envoy.pid).not.toBe(pid);
    expect(await envoy.admin.certificate()).toEqual({ ...before, spiffeId });
  }
  for (const pair of mesh.pairs) expect(await call(pair)).toEqual({ status: 200, caller: pair.from.spiffeId });
});

it("gives a new workload its identity as soon as the CA is back", async () => {
  const late = world.addMesh("late");
  const { knocks } = door;
  const before = knocks();
  await until("the agent to try for the new workloads", () => knocks() > before);
  await world.startCaAgain();
  for (const pair of (await late).pairs) expect((await call(pair)).status).toBe(200);
});
