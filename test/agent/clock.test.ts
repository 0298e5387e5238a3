import { afterEach, beforeEach, expect, test } from "vitest";
import { makePod, serialOf, settle, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

const day = 86_400;
// With random() held at 0.5 a certificate of an hour is renewed after half an hour.
const untilRenewal = 1_801;

async function startOne() {
  const client = world.client();
  const token = world.ca.token(makePod(), { lifetime: 2 * day });
  const stream = client.withToken(token).request({ names: ["default"] });
  const first = serialOf(await stream.nextAcked(["default"]));
  const again = () =>
    world
      .client()
      .withToken(token)
      .request({ names: ["default"] });
  return { client, stream, first, again };
}

test("a clock that is set back delays no renewal; the jump is told and counted", async () => {
  const { first, stream } = await startOne();
  // By no more than the CA's own certificates are old, or they would be of the future.
  const back = 3_000;
  world.clock.step(-back);
  world.clock.advance(30);
  expect((await world.untilLogged("the wall clock was set back")).fields.jumpedSeconds).toBeCloseTo(-back, 0);
  expect(world.metrics.clockJumps).toEqual({ forward: 0, back: 1 });
  world.clock.advance(untilRenewal - 30);
  expect(serialOf(await stream.nextAcked(["default"]))).not.toBe(first);
});

test("a certificate that came while the clock was a day ahead is renewed in its time by the right one", async () => {
  world.clock.step(day);
  const { client, first, stream } = await startOne();
  world.clock.step(-day);
  world.clock.advance(30);
  await settle(client);
  expect(stream.untaken).toBe(0);
  world.clock.advance(untilRenewal - 30);
  expect(serialOf(await stream.nextAcked(["default"]))).not.toBe(first);
});

test("a machine that slept past the end: who comes is given nothing old, and the new one when it is there", async () => {
  const { again, first, stream } = await startOne();
  world.clock.step(2 * 3_600);
  expect(serialOf(await again().next())).not.toBe(first);
  expect(serialOf(await stream.next())).not.toBe(first);
  expect(world.ca.requests).toHaveLength(2);
});

test("a clock that is ahead for a moment while the CA is away loses nothing", async () => {
  const { again, first } = await startOne();
  await world.ca.stop();
  world.clock.step(2 * 3_600);
  world.clock.advance(30);
  await world.untilLogged("renewal failed; will try again, the certificate stays in use");
  const early = again();
  await settle(world.client());
  expect(early.received).toEqual([]);
  world.clock.step(-2 * 3_600);
  expect(serialOf(await again().next())).toBe(first);
  await world.ca.listen();
  world.clock.advance(31);
  expect(serialOf(await early.next())).not.toBe(first);
});
