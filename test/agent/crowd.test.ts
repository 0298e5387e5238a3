import { expect, test } from "vitest";
import { makePod, World } from "./world.ts";

const crowd = 300;
// Requests that the agent has open at the CA at once, whatever the number of its workloads.
const mostAtOnce = 8;

test("300 Envoys come back to an agent that was started again: each is served anew, the CA sees few requests at once", async () => {
  const world = await World.start();
  const tokens = Array.from({ length: crowd }, () => world.ca.token(makePod()));
  const comeAll = async () => {
    const responses = await Promise.all(
      tokens.map((token) =>
        world
          .client()
          .withToken(token)
          .request({ names: ["default"] })
          .next(),
      ),
    );
    return responses.map(({ secrets }) => secrets[0]?.key);
  };
  const first = await comeAll();
  await world.agent.stop();
  const [requests, connections] = [world.ca.requests.length, world.ca.connections];
  await world.startAgent();
  const second = await comeAll();
  expect(new Set([...first, ...second]).size).toBe(2 * crowd);
  expect(world.ca.requests.length - requests).toBe(crowd);
  // Over HTTP/1.1 a connection carries one request at a time.
  expect(world.ca.connections - connections).toBeLessThanOrEqual(mostAtOnce);
  await world.stop();
});
