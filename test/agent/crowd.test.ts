import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import type { SdsClient, SdsStreamClient } from "./sds-client.ts";
import { makePod, World } from "./world.ts";

// Of one connection for which nobody vouches (grpc/limits.ts).
const untrustedStreams = 128;

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

function open(client: SdsClient, token: string, count: number): SdsStreamClient[] {
  return Array.from({ length: count }, () => client.withToken(token).request({ names: ["ROOTCA"] }));
}

test("a pod whose token the CA has not seen has few streams, and more once the CA has accepted it", async () => {
  const client = world.client();
  const token = world.ca.token(makePod());
  const streams = open(client, token, untrustedStreams);
  for (const stream of streams) await stream.next();
  const [oneMore] = open(client, token, 1);
  expect(await oneMore?.end()).toMatchObject({ code: status.RESOURCE_EXHAUSTED });

  streams[0]?.request({ names: ["default"], nonce: "1" });
  await streams[0]?.next();
  for (const stream of open(client, token, 10)) await stream.next();
  expect(world.metrics.streams).toBe(untrustedStreams + 10);
});

test("a crowd of streams with tokens that the CA refuses does not keep another pod from its secrets", async () => {
  const mallory = world.client();
  world.ca.scriptFor = (account) => (account === "mallory" ? { status: 401, code: "token-not-accepted" } : undefined);
  const streams: SdsStreamClient[] = [];
  for (let n = 0; n < 1_000; n++) {
    streams.push(mallory.withToken(world.ca.token(makePod("mallory"))).request({ names: ["default"] }));
  }
  const honest = world
    .client()
    .withToken(world.ca.token(makePod("sleep")))
    .request({ names: ["default", "ROOTCA"] });
  expect((await honest.next()).secrets).not.toHaveLength(0);
  await until("all others are refused", () => streams.every(({ ended }) => ended !== undefined));
  expect(world.metrics.streams).toBe(1);
});
