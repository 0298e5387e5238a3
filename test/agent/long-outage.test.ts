/** A CA that is away for longer than certificates live. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { makePod, serialOf, settle, World } from "./world.ts";

let world: World;

beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world.stop());

test("what is held is served to each Envoy that restarts, until it runs out, and never after", async () => {
  const token = world.ca.token(makePod(), { lifetime: 20_000 });
  const first = world
    .client()
    .withToken(token)
    .request({ names: ["default"] });
  const held = serialOf(await first.nextAcked(["default"]));
  await world.ca.stop();
  // Of 3,600 s, and of the 600 s for which a workload without streams is kept.
  for (const seconds of [1_700, 500, 500, 500, 350]) {
    const stream = world
      .client()
      .withToken(token)
      .request({ names: ["default"] });
    expect(serialOf(await stream.nextAcked(["default"]))).toBe(held);
    stream.cancel();
    world.clock.advance(seconds);
  }
  // It goes on with what it has; taking it away would not make it any better.
  expect(first.untaken).toBe(0);
  expect(first.ended).toBeUndefined();
  world.clock.advance(60);
  const client = world.client();
  const late = client.withToken(token).request({ names: ["default"] });
  const roots = client.withToken(token).request({ names: ["ROOTCA"] });
  await roots.next();
  await settle(client);
  expect(late.received).toHaveLength(0);
  expect(late.ended).toBeUndefined();
  await world.ca.listen();
  world.clock.advance(31);
  const next = serialOf(await late.next());
  expect(next).not.toBe(held);
  expect(serialOf(await first.next())).toBe(next);
});
