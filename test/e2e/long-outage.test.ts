/** A CA that is away for longer than certificates live, while Envoys restart. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { call, Load } from "../support/load.ts";
import type { Mesh, Workload } from "../support/mesh.ts";
import { until } from "../support/poll.ts";
import { World } from "./world.ts";

const lifeSeconds = 40;

let world: World;
let mesh: Mesh;
let ends: number[];

beforeAll(async () => {
  world = await World.create({ leafTtl: `${lifeSeconds}s` });
  mesh = await world.addMesh("main");
  await world.killCa();
  ends = (await certificates()).map((certificate) => certificate?.notAfter.getTime() ?? Number.NaN);
});
afterAll(() => world?.close());

const certificates = () => Promise.all(mesh.workloads.map(({ envoy }) => envoy.admin.certificate()));
/** Waits for a moment of the certificates' lives: there is nothing else to wait for. */
const untilPast = (milliseconds: number) =>
  until("that moment", () => Date.now() > milliseconds, { within: lifeSeconds * 1_500 });

async function restart({ envoy }: Workload): Promise<void> {
  await envoy.stop();
  await envoy.start();
}

it("past the half of their lives, with every renewal overdue: restarted Envoys have the same identity", async () => {
  // Renewals are drawn between 40 and 60 % of a life.
  await untilPast(Math.max(...ends) - 0.38 * lifeSeconds * 1_000);
  const before = await certificates();
  for (const workload of mesh.workloads) {
    await restart(workload);
    await workload.envoy.untilReady();
  }
  expect(await certificates()).toEqual(before);
  const load = new Load(mesh.pairs);
  await until("a hundred requests", () => load.report().requests >= 100);
  expect(await load.stop()).toMatchObject({ failures: 0, examples: [] });
  expect(Date.now()).toBeLessThan(Math.min(...ends));
});

it("past their ends: nobody is given a certificate that has run out", async () => {
  await untilPast(Math.max(...ends) + 1_000);
  const [first] = mesh.sleeps;
  if (first === undefined) throw new Error("a mesh has Envoys");
  await restart(first);
  await first.envoy.untilAdminAnswers();
  await until("the agent to have its stream", async () => {
    const known = (await world.agent.workloads()).find(({ podUid }) => podUid === first.pod.pod.uid);
    return known?.streams === 1;
  });
  expect(await first.envoy.admin.certificate()).toBeUndefined();
  expect(await first.envoy.admin.secretNames()).not.toContain("default");
});

it("with the CA back: all have an identity again, and requests flow", async () => {
  await world.startCaAgain();
  for (const { envoy } of mesh.workloads) {
    await until("a certificate that is good", async () => {
      const certificate = await envoy.admin.certificate();
      return certificate !== undefined && certificate.notAfter.getTime() > Date.now();
    });
    await envoy.untilReady();
  }
  for (const pair of mesh.pairs) expect(await call(pair)).toEqual({ status: 200, caller: pair.from.spiffeId });
});
