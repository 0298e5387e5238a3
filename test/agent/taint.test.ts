import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, serialOf, settle, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

async function startOne() {
  const client = world.client();
  const token = world.ca.token(makePod(), { lifetime: 7_200 });
  const stream = client.withToken(token).request({ names: ["default"] });
  const roots = client.withToken(token).request({ names: ["ROOTCA"] });
  const [first] = await Promise.all([stream.nextAcked(["default"]), roots.nextAcked(["ROOTCA"])]);
  return { client, token, stream, roots, first };
}

/** Lets the agent ask for the bundle again. */
async function poll(): Promise<void> {
  const before = world.ca.bundleRequests;
  world.clock.advance(60);
  await until("a poll of the bundle", () => world.ca.bundleRequests > before, { every: 5 });
}

describe("a certificate that cannot stay", () => {
  test("of a tainted authority is replaced within seconds, and served until then; roots stay", async () => {
    const { client, roots, stream, token, first } = await startOne();
    world.ca.taint();
    await poll();
    const { fields } = await world.untilLogged("certificate is replaced");
    expect(fields).toMatchObject({ flaw: "tainted", serialNumber: serialOf(first) });
    const again = await client
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    expect(serialOf(again)).toBe(serialOf(first));
    expect(world.ca.requests).toHaveLength(1);
    // Half of the ten seconds, by the random number that the test has.
    world.clock.advance(5);
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
    expect(await world.workloads()).toMatchObject([{ issuedCount: 2, state: "held" }]);
    await settle(client);
    expect([stream.untaken, roots.untaken]).toEqual([0, 0]);
    await poll();
    await settle(client);
    expect(world.ca.requests).toHaveLength(2);
  });

  test("whose root left the bundle is replaced in the same way", async () => {
    const { stream, first } = await startOne();
    world.ca.replaceRoot();
    await poll();
    const { fields } = await world.untilLogged("certificate is replaced");
    expect(fields).toMatchObject({ flaw: "unanchored" });
    expect(stream.untaken).toBe(0);
    world.clock.advance(5);
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
  });

  test("while the CA is away stays in use and is asked for until the CA is back", async () => {
    const { client, stream, token, first } = await startOne();
    world.ca.taint();
    await poll();
    await world.untilLogged("certificate is replaced");
    world.ca.script = { status: 503 };
    world.clock.advance(5);
    await world.untilLogged("renewal failed; will try again, the certificate stays in use");
    const again = await client
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    expect(serialOf(again)).toBe(serialOf(first));
    world.ca.script = "issue";
    world.clock.advance(31);
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
  });
});

test("a CA that goes on to sign with a tainted key is asked again after a while, not in a loop", async () => {
  const { client, stream } = await startOne();
  const tainted = world.ca.identity.intermediate;
  world.ca.taint();
  world.ca.identity.intermediate = tainted;
  await poll();
  await world.untilLogged("certificate is replaced");
  world.clock.advance(5);
  await stream.nextAcked(["default"]);
  await world.untilLogged("the new certificate is replaced, too");
  await settle(client);
  world.clock.advance(30);
  await settle(client);
  expect(world.ca.requests).toHaveLength(2);
  world.clock.advance(16);
  await world.untilRequests(3);
  await stream.next();
});

test("another root beside the old one replaces nothing", async () => {
  const { client, roots } = await startOne();
  world.ca.addRoot();
  await poll();
  await roots.next();
  world.clock.advance(31);
  await settle(client);
  expect(world.ca.requests).toHaveLength(1);
});

test("a taint under the sequence that is known already is taken, too", async () => {
  await startOne();
  world.ca.taint();
  const { sequence } = world.ca;
  // Without the new etag the agent would not be told.
  world.ca.identity.taintedKeyIds.pop();
  await poll();
  await until("the bundle", () => world.metrics.bundleSequence === sequence, { every: 5 });
  world.ca.identity.taintedKeyIds.push(world.ca.identity.root.keyId);
  await world
    .client()
    .withToken(world.ca.token(makePod()))
    .request({ names: ["default"] })
    .next();
  await world.untilLogged("certificate is replaced");
});
