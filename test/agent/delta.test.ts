import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { type LogLine, makePod, settle, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

// The rules of the protocol stand in node-agent/src/sds/delta.test.ts; here they meet the agent.
describe("DeltaSecrets", () => {
  test("gives the certificate and the roots with their versions, and an ACK is answered with nothing", async () => {
    const client = world.client();
    const stream = client.delta(world.ca.token(makePod())).request({ subscribe: ["ROOTCA"] });
    const { versions, nonce } = await stream.next();
    expect(versions).toEqual({ ROOTCA: expect.stringMatching(/^bundle-[0-9a-f]{16}$/) });
    stream.request({ nonce, subscribe: ["default"] });
    const { fields } = await world.untilLogged("certificate issued");
    expect((await stream.next()).versions).toEqual({ default: fields.serialNumber });
    await settle(client);
    expect(stream.untaken).toBe(0);
    expect(world.metrics).toMatchObject({ acks: 1, nacks: 0, pushes: 2, streams: 1 });
    expect(world.metrics.openStreams).toEqual({ StreamSecrets: 0, DeltaSecrets: 1, FetchSecrets: 0 });
  });

  test("shares the workload's certificate with a stream of the other kind", async () => {
    const token = world.ca.token(makePod());
    const delta = await world
      .client()
      .delta(token)
      .request({ subscribe: ["default"] })
      .next();
    const whole = await world
      .client()
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    expect(delta.versions.default).toBe(whole.version);
    expect(world.ca.requests).toHaveLength(1);
  });

  test("pushes new roots alone, without asking for a certificate", async () => {
    const stream = world
      .client()
      .delta(world.ca.token(makePod()))
      .request({ subscribe: ["ROOTCA"] });
    const { versions } = await stream.next();
    world.ca.addRoot();
    world.clock.advance(60);
    const pushed = await stream.next();
    expect(Object.keys(pushed.versions)).toEqual(["ROOTCA"]);
    expect(pushed.versions.ROOTCA).not.toBe(versions.ROOTCA);
    expect(world.ca.requests).toHaveLength(0);
  });

  test("a refusal is logged without PEM, and causes no push and no CSR", async () => {
    const client = world.client();
    const stream = client.delta(world.ca.token(makePod())).request({ subscribe: ["default"] });
    const { nonce } = await stream.next();
    stream.request({ nonce, nack: "KEY_VALUES_MISMATCH -----BEGIN PRIVATE KEY-----" });
    const { fields } = await world.untilLogged("Envoy refuses a secret");
    expect(fields).toMatchObject({ names: ["default"], status: 13, reason: "KEY_VALUES_MISMATCH [PEM left out]" });
    await settle(client);
    expect(stream.untaken).toBe(0);
    expect(world.ca.requests).toHaveLength(1);
    expect(world.metrics).toMatchObject({ acks: 0, nacks: 1, pushes: 1 });
  });

  test("after a restart of the agent a client is sent the roots only where they are others", async () => {
    const token = world.ca.token(makePod());
    const before = await world
      .client()
      .delta(token)
      .request({ subscribe: ["ROOTCA"] })
      .next();
    await world.agent.stop();
    await world.startAgent();
    const client = world.client();
    const stream = client.delta(token).request({ subscribe: ["ROOTCA"], versions: before.versions });
    await until("the second agent's bundle", () => world.lines.filter(isBundle).length === 2);
    await settle(client);
    expect(stream.untaken).toBe(0);
    world.ca.addRoot();
    world.clock.advance(60);
    expect(Object.keys((await stream.next()).versions)).toEqual(["ROOTCA"]);
  });

  test("bytes that are no request end the stream with INVALID_ARGUMENT", async () => {
    const names = Array.from({ length: 1_001 }, (_, n) => `name-${n}`);
    const stream = world.client().delta(world.ca.token(makePod())).request({ subscribe: names });
    expect(await stream.end()).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test("needs a token as the other methods do", async () => {
    expect(
      await world
        .client()
        .delta("")
        .request({ subscribe: ["ROOTCA"] })
        .end(),
    ).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
  });
});

const isBundle = ({ message }: LogLine) => message === "trust bundle learned";
