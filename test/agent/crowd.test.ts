import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, serialOf, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world.stop());

test("a crowd of pods is renewed in few requests, each with its own identity and key", async () => {
  const pods = Array.from({ length: 60 }, (_, at) => makePod(`account-${at}`));
  const streams = pods.map((pod) =>
    world
      .client()
      .withToken(world.ca.token(pod, { lifetime: 7_200 }))
      .request({ names: ["default"] }),
  );
  const first = await Promise.all(streams.map((stream) => stream.nextAcked(["default"])));
  const leaves = first.map(({ secrets }) => new X509Certificate(secrets[0]?.chain ?? ""));
  expect(leaves.map(({ subjectAltName }) => subjectAltName)).toEqual(
    pods.map(({ serviceAccount }) => `URI:spiffe://cluster.local/ns/foo/sa/${serviceAccount}`),
  );
  expect(new Set(leaves.map(({ publicKey }) => publicKey.export({ type: "spki", format: "pem" }))).size).toBe(60);
  expect(world.ca.requests).toHaveLength(60);

  world.ca.batches.length = 0;
  // Chance is always a half here: all renewals fall due at once.
  world.clock.advance(1_850);
  const second = await Promise.all(streams.map((stream) => stream.nextAcked(["default"])));
  await until("all renewals", () => world.ca.requests.length === 120, { every: 5 });
  const inBatches = world.ca.batches.reduce((sum, items) => sum + items, 0);
  expect(inBatches).toBeGreaterThan(50);
  expect(world.ca.batches.length).toBeLessThan(10);
  const serials = new Set([...first, ...second].map((response) => serialOf(response)));
  expect(serials.size).toBe(120);
  const renewed = second.map(({ secrets }) => new X509Certificate(secrets[0]?.chain ?? "").subjectAltName);
  expect(renewed).toEqual(leaves.map(({ subjectAltName }) => subjectAltName));
});
