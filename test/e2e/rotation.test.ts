import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { call, Load } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { until } from "../support/poll.ts";
import { shownSerial } from "../support/stranger.ts";
import { World } from "./world.ts";

// A renewal is due after 16 to 24 s, and may then be as late as the machine is busy: 16 s at least.
const leafTtl = "40s";
const oneRenewal = { within: 60_000 };
vi.setConfig({ testTimeout: 180_000 });

let world: World;
let mesh: Mesh;

beforeAll(async () => {
  world = await World.create({ leafTtl });
  mesh = await world.addMesh("main");
});
afterAll(() => world?.close());

const serials = async () =>
  new Map(
    await Promise.all(
      mesh.workloads.map(
        async ({ name, envoy }) => [name, (await envoy.admin.certificate())?.serialNumber ?? ""] as const,
      ),
    ),
  );
const births = async () =>
  await Promise.all(mesh.workloads.map(async ({ envoy }) => ({ pid: envoy.pid, ...(await envoy.admin.serverInfo()) })));

it("gives every workload two new certificates while requests flow, without a failure or a restart", async () => {
  const first = await serials();
  const born = await births();
  const seen = new Map([...first].map(([name, serial]) => [name, new Set([serial])]));
  const load = new Load(mesh.pairs);
  try {
    await until(
      "two renewals of each workload",
      async () => {
        for (const [name, serial] of await serials()) seen.get(name)?.add(serial);
        return [...seen.values()].every(({ size }) => size >= 3);
      },
      { within: 120_000, every: 200 },
    );
  } finally {
    const { requests, failures, examples } = await load.stop();
    expect(examples).toEqual([]);
    expect(failures).toBe(0);
    expect(requests).toBeGreaterThan(100);
  }
  const now = await births();
  expect(now.map(({ pid, restartEpoch }) => ({ pid, restartEpoch }))).toEqual(
    born.map(({ pid, restartEpoch }) => ({ pid, restartEpoch })),
  );
  for (const [index, { uptimeSeconds }] of now.entries()) {
    expect(uptimeSeconds).toBeGreaterThan(born[index]?.uptimeSeconds ?? 0);
  }
});

it("shows the new certificate on the wire", async () => {
  for (const { namespace, envoy } of mesh.httpbins) {
    await until("the serial on the wire to be that of the admin page", async () => {
      const [shown, told] = [await shownSerial(mesh.inboundPorts[namespace]), await envoy.admin.certificate()];
      return shown === told?.serialNumber;
    });
  }
});

it("goes on when the CA comes back after an outage, in which traffic flowed", async () => {
  const { knocks } = await world.killCa();
  const load = new Load(mesh.pairs);
  const before = await serials();
  const triedInVain = () => knocks() > 0 && load.report().requests > 100;
  await until("the agent to try a renewal in vain, and requests in the meantime", triedInVain, oneRenewal);
  await world.startCaAgain();
  await until(
    "new certificates",
    async () => [...(await serials())].every(([name, serial]) => serial !== before.get(name)),
    oneRenewal,
  );
  const { failures, examples } = await load.stop();
  expect(examples).toEqual([]);
  expect(failures).toBe(0);
  for (const pair of mesh.pairs) expect((await call(pair)).status).toBe(200);
});
