import { afterAll, beforeAll, expect, it } from "vitest";
import { call, Load } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { until } from "../support/poll.ts";
import { World } from "./world.ts";

let world: World;
let mesh: Mesh;

beforeAll(async () => {
  world = await World.create({ leafTtl: "20s" });
  mesh = await world.addMesh("delta", { apiType: "DELTA_GRPC" });
});
afterAll(() => world?.close());

const serials = async () =>
  await Promise.all(mesh.workloads.map(async ({ envoy }) => (await envoy.admin.certificate())?.serialNumber));

async function untilRenewed(before: readonly (string | undefined)[]): Promise<void> {
  await until(
    "another certificate for each Envoy",
    async () => (await serials()).every((serial, index) => serial !== before[index]),
    { within: 40_000, every: 100 },
  );
}

/** Runs `step` while requests flow, none of which may fail. */
async function underLoad(step: () => Promise<void>): Promise<void> {
  const load = new Load(mesh.pairs);
  try {
    await step();
  } finally {
    const { failures, examples, requests } = await load.stop();
    expect(examples).toEqual([]);
    expect(failures).toBe(0);
    expect(requests).toBeGreaterThan(0);
  }
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${world.agent.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

it("Envoys that ask by DELTA_GRPC reach each other through mutual TLS", async () => {
  for (const pair of mesh.pairs) expect(await call(pair)).toEqual({ status: 200, caller: pair.from.spiffeId });
  expect(await metric("signet_agent_sds_nacks_total")).toBe(0);
});

it("they get their next certificate while requests flow", async () => {
  const before = await serials();
  await underLoad(() => untilRenewed(before));
});

it("an agent that restarts under them sends what they do not have, and only that", async () => {
  const before = await serials();
  await underLoad(async () => {
    await world.restartAgent();
    await untilRenewed(before);
  });
  // Each Envoy has a stream for its certificate, which is new, and one for the roots, which it has.
  await until("both streams of each Envoy", async () => (await metric("signet_agent_sds_streams")) === 8);
  expect(await metric("signet_agent_sds_pushes_total")).toBe(4);
  expect(await metric("signet_agent_sds_nacks_total")).toBe(0);
});
