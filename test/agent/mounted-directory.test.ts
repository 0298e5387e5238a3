/** The socket's directory as a container has it: mounted from the host, where somebody deletes or moves it. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { ensureBuilt } from "../support/repo.ts";
import { answer, OutageWorld } from "./outage-world.ts";
import { makePod } from "./world.ts";

let world: OutageWorld;
let host: string;

beforeAll(() => ensureBuilt());
beforeEach(async () => {
  world = await OutageWorld.start();
  host = join(world.folder, "host");
  mkdirSync(host);
});
afterEach(() => world.stop());

const isRoot = process.getuid?.() === 0;
describe.skipIf(!isRoot && process.env.CI === undefined)("needs root, to mount", () => {
  const mounted = () => [
    ...["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh"],
    ...[host, join(world.folder, "sds")],
  ];
  const streamTo = (socket: string) =>
    world
      .client(socket)
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });

  test("deleted on the host: only a new container helps, so that the liveness probe fails and says why", async () => {
    const agent = await world.serving({ under: mounted() });
    const stream = streamTo(join(host, "uds_path"));
    await stream.nextAcked(["default"]);
    rmSync(host, { recursive: true });
    const told = await until("the liveness probe to fail", async () => {
      const health = await answer(agent, "healthz");
      return health.status === 503 ? health : undefined;
    });
    expect(told.reason).toContain("was deleted where it is mounted from");
    expect(await answer(agent, "readyz")).toMatchObject({
      status: 503,
      reason: expect.stringContaining("was deleted where it is mounted from; restart this container"),
    });
    expect(stream.ended).toBeUndefined();

    // What the container runtime does with the next one.
    await agent.program.stop("SIGTERM");
    mkdirSync(host);
    const next = await world.serving({ under: mounted() });
    await streamTo(join(host, "uds_path")).next();
    expect(await answer(next, "healthz")).toMatchObject({ status: 200 });
  });

  test("moved away on the host: not ready, but alive for the pods that have it mounted", async () => {
    const agent = await world.serving({ under: mounted() });
    const moved = join(world.folder, "moved");
    renameSync(host, moved);
    mkdirSync(host);
    const told = await until("the agent to see it", async () => {
      const readiness = await answer(agent, "readyz");
      return readiness.status === 503 ? readiness : undefined;
    });
    expect(told.reason).toContain("was moved on the host");
    expect(told.reason).toContain("/moved");
    expect(await answer(agent, "healthz")).toMatchObject({ status: 200 });
    expect(existsSync(join(host, "uds_path"))).toBe(false);
    await streamTo(join(moved, "uds_path")).next();
    rmSync(host, { recursive: true });
    renameSync(moved, host);
    await until("readiness", async () => (await answer(agent, "readyz")).status === 200);
  });
});
