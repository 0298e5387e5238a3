/** Agents that end and come again while requests flow: Envoys keep what they have, and get more from the next agent. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClosedDoor } from "../support/closed-door.ts";
import { Load } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { until } from "../support/poll.ts";
import { World } from "./world.ts";

let world: World;
let mesh: Mesh;

beforeAll(async () => {
  world = await World.create({ leafTtl: "40s" });
  mesh = await world.addMesh("main");
});
afterAll(() => world?.close());

const serials = () =>
  Promise.all(mesh.workloads.map(async ({ envoy }) => (await envoy.admin.certificate())?.serialNumber));

async function untilAllAreNew(before: readonly (string | undefined)[]): Promise<void> {
  await until("a new certificate for each Envoy", async () => {
    const now = await serials();
    return now.every((serial, at) => serial !== undefined && serial !== before[at]);
  });
}

/** Runs `step` while requests flow, none of which may fail. */
async function underLoad(step: () => Promise<void>): Promise<void> {
  const load = new Load(mesh.pairs);
  try {
    await step();
  } finally {
    const { examples, failures, requests } = await load.stop();
    expect(examples).toEqual([]);
    expect(failures).toBe(0);
    expect(requests).toBeGreaterThan(0);
  }
}

it.each(["SIGTERM", "SIGKILL"] as const)(
  "%s, and another agent: no request fails, each Envoy gets more",
  async (signal) => {
    const pids = mesh.workloads.map(({ envoy }) => envoy.pid);
    await underLoad(async () => {
      const before = await serials();
      await world.agent.program.stop(signal);
      await world.restartAgent();
      await untilAllAreNew(before);
    });
    expect(mesh.workloads.map(({ envoy }) => envoy.pid)).toEqual(pids);
    expect(await world.agent.workloads()).toHaveLength(mesh.workloads.length);
  },
);

it("without a CA: the next agent waits for it, Envoys go on, and get more once it is back", async () => {
  await underLoad(async () => {
    const door: ClosedDoor = await world.killCa();
    const before = await serials();
    await world.agent.program.stop("SIGKILL");
    const restarted = world.restartAgent();
    const knocks = door.knocks();
    await until("the next agent to ask", () => door.knocks() >= knocks + mesh.workloads.length);
    expect(await serials()).toEqual(before);
    await world.startCaAgain();
    await restarted;
    await untilAllAreNew(before);
  });
});
