import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

describe("FetchSecrets", () => {
  test("gives the certificate and the roots in one answer, and leaves nothing", async () => {
    const { code, response } = await world.client().fetch(["default", "ROOTCA"], world.ca.token(makePod()));
    expect(code).toBe(status.OK);
    expect(response?.secrets.map(({ name, kind }) => [name, kind])).toEqual([
      ["default", "tlsCertificate"],
      ["ROOTCA", "validationContext"],
    ]);
    expect(response?.version).toMatch(/^[0-9a-f]+\+bundle-[0-9a-f]{16}$/);
    await until("the end of the call", () => world.metrics.streams === 0);
    expect(world.metrics.openStreams.FetchSecrets).toBe(0);
  });

  test("waits for a CA that is away", async () => {
    world.ca.script = { status: 503 };
    const answer = world.client().fetch(["default"], world.ca.token(makePod()));
    await world.untilRequests(1);
    world.ca.script = "issue";
    world.clock.advance(60);
    expect((await answer).code).toBe(status.OK);
  });

  test("ends as a stream does when the CA refuses the token", async () => {
    world.ca.script = { status: 403, code: "identity-not-entitled" };
    const { code } = await world.client().fetch(["default"], world.ca.token(makePod()));
    expect(code).toBe(status.PERMISSION_DENIED);
  });

  test("is NOT_FOUND for names that are not known, and partial for some", async () => {
    const token = world.ca.token(makePod());
    const none = await world.client().fetch(["nonsense"], token);
    expect(none).toMatchObject({ code: status.NOT_FOUND, details: "none of the names is known here" });
    const some = await world.client().fetch(["nonsense", "ROOTCA"], token);
    expect(some.response?.secrets.map(({ name }) => name)).toEqual(["ROOTCA"]);
    expect(world.metrics.unknownNames).toBe(2);
  });

  test("a client that gives up leaves nothing waiting", async () => {
    world.ca.script = { status: 503 };
    const token = world.ca.token(makePod());
    const { code } = await world.client().fetch(["default"], token, new Date(Date.now() + 300));
    expect(code).toBe(status.DEADLINE_EXCEEDED);
    await until("the end of the call", () => world.metrics.streams === 0);
    expect(world.metrics.openStreams.FetchSecrets).toBe(0);
  });

  test("needs a token as the other methods do", async () => {
    expect((await world.client().fetch(["ROOTCA"], "")).code).toBe(status.UNAUTHENTICATED);
  });
});
