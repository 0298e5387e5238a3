import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, settle, World } from "./world.ts";

const crowd = 300;
// Requests that the agent has open at the CA at once, whatever the number of its workloads.
const mostAtOnce = 8;

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

const makeTokens = () => Array.from({ length: crowd }, () => world.ca.token(makePod()));
const open = (token: string) =>
  world
    .client()
    .withToken(token)
    .request({ names: ["default"] });

test("300 Envoys come back to an agent that was started again: each is served anew, with a key of its own", async () => {
  const tokens = makeTokens();
  const comeAll = () =>
    Promise.all(tokens.map(async (token) => (await open(token).next()).secrets.map(({ key }) => key)));
  const first = await comeAll();
  await world.agent.stop();
  const requests = world.ca.requests.length;
  await world.startAgent();
  const second = await comeAll();
  expect(new Set([...first, ...second].flat()).size).toBe(2 * crowd);
  expect(world.ca.requests.length - requests).toBe(crowd);
});

test("a CA that takes its time with 300 of them has few requests open at once", async () => {
  world.ca.script = "hang";
  for (const token of makeTokens()) open(token);
  await until("all streams", () => world.metrics.openStreams.StreamSecrets === crowd, { every: 5 });
  await world.untilRequests(4);
  await settle(world.client());
  // Over HTTP/1.1 a connection carries one request at a time.
  expect(world.ca.connections).toBeLessThanOrEqual(mostAtOnce);
});
