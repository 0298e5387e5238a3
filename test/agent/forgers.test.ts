import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, World } from "./world.ts";

test("200 forged tokens on one connection: a good one on another is asked about after a bounded number", async () => {
  const world = await World.start();
  world.ca.script = "hang";
  const forger = world.client();
  const streams = Array.from({ length: 100 }, () =>
    forger.withToken(world.ca.forge(makePod())).request({ names: ["default"] }),
  );
  const refused = () => streams.filter((stream) => stream.ended?.code === status.RESOURCE_EXHAUSTED);
  await until("most to be refused at once", () => refused().length === 84, { every: 5 });
  for (let n = 0; n < 100; n++) {
    const more = forger.withToken(world.ca.forge(makePod())).request({ names: ["default"] });
    expect(await more.end()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  }
  await world.untilRequests(4);
  world.ca.script = "issue";
  const good = world.client().withToken(world.ca.token(makePod()));
  expect((await good.request({ names: ["default"] }).next()).secrets).toHaveLength(1);
  expect(world.ca.requests).toHaveLength(5);
  await world.stop();
});
