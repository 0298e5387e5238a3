import { createPrivateKey, X509Certificate } from "node:crypto";
import { status } from "@grpc/grpc-js";
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

// With random() held at 0.5 a certificate of an hour is renewed after half an hour.
const untilRenewal = 1_801;

describe("renewal", () => {
  test("pushes a new key and certificate, and ROOTCA gets nothing", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const client = world.client();
    const stream = client.withToken(token).request({ names: ["default"] });
    const roots = client.withToken(token).request({ names: ["ROOTCA"] });
    const [first] = await Promise.all([stream.nextAcked(["default"]), roots.nextAcked(["ROOTCA"])]);
    world.clock.advance(1_700);
    await settle(client);
    expect(stream.untaken).toBe(0);
    world.clock.advance(untilRenewal - 1_700);
    const second = await stream.nextAcked(["default"]);
    expect(serialOf(second)).not.toBe(serialOf(first));
    expect(second.secrets[0]?.key).not.toBe(first.secrets[0]?.key);
    const leaf = new X509Certificate(second.secrets[0]?.chain ?? "");
    expect(leaf.checkPrivateKey(createPrivateKey(second.secrets[0]?.key ?? ""))).toBe(true);
    await settle(client);
    expect(roots.untaken).toBe(0);
    expect(second.nonce).not.toBe(first.nonce);
    expect(await world.workloads()).toMatchObject([{ issuedCount: 2 }]);
  });

  test("works for lives of 20 s, whatever notBefore says", async () => {
    world.ca.leafSeconds = 20;
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    const serials = new Set([serialOf(await stream.nextAcked(["default"]))]);
    for (let n = 0; n < 3; n++) {
      world.clock.advance(13);
      serials.add(serialOf(await stream.nextAcked(["default"])));
    }
    expect(serials.size).toBe(4);
    expect(world.ca.requests).toHaveLength(4);
  });

  test("with an expired token ends the stream, keeps the state, and goes on with a fresh token", async () => {
    const pod = makePod();
    const client = world.client();
    const stream = client.withToken(world.ca.token(pod, { lifetime: 600 })).request({ names: ["default"] });
    const roots = client.withToken(world.ca.token(pod)).request({ names: ["ROOTCA"] });
    await Promise.all([stream.next(), roots.next()]);
    world.clock.advance(untilRenewal);
    expect(await stream.end()).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(roots.ended).toBeUndefined();
    expect(await world.workloads()).toMatchObject([{ issuedCount: 1 }]);
    await client
      .withToken(world.ca.token(pod))
      .request({ names: ["default"] })
      .next();
    expect(await world.workloads()).toMatchObject([{ issuedCount: 2, streams: 1 }]);
  });

  test("refused by the CA keeps the certificate and ends the streams", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const client = world.client();
    const stream = client.withToken(token).request({ names: ["default"] });
    const first = await stream.next();
    world.ca.script = { status: 401, code: "token-not-accepted" };
    world.clock.advance(untilRenewal);
    expect(await stream.end()).toMatchObject({ code: status.UNAUTHENTICATED });
    const again = client.withToken(token).request({ names: ["default"] });
    expect(serialOf(await again.next())).toBe(serialOf(first));
    expect(await world.workloads()).toMatchObject([{ lastError: { code: "token-not-accepted" } }]);
    expect(world.ca.requests).toHaveLength(2);
    world.ca.script = "issue";
    world.clock.advance(45);
    expect(serialOf(await again.next())).not.toBe(serialOf(first));
  });
});

describe("a CA that is away", () => {
  test.each([
    { what: "503", script: { status: 503 } },
    { what: "429", script: { status: 429, code: "rate-limited" } },
    { what: "a proxy's 404", script: { status: 404, body: "<html>" } },
  ])("$what: the stream waits, then gets", async ({ script }) => {
    world.ca.script = script;
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod())).request({ names: ["default"] });
    await world.untilRequests(2);
    expect(stream.received).toHaveLength(0);
    expect(stream.ended).toBeUndefined();
    world.ca.script = "issue";
    expect((await stream.next()).secrets).toHaveLength(1);
  });

  test("that asks for time is given it", async () => {
    world.ca.script = { status: 503, retryAfter: 120 };
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    const line = await world.untilLogged("no certificate yet; will try again");
    expect(line.fields.waitSeconds).toBeGreaterThanOrEqual(120);
    world.clock.advance(119);
    await settle(world.client());
    expect(world.ca.requests).toHaveLength(1);
    world.ca.script = "issue";
    world.clock.advance(2);
    await stream.next();
  });

  test("429 at renewal: the certificate stays in use, and is renewed after the time told, not before", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const stream = world
      .client()
      .withToken(token)
      .request({ names: ["default"] });
    const first = await stream.next();
    world.ca.script = { status: 429, code: "rate-limited", retryAfter: 60 };
    world.clock.advance(untilRenewal);
    const { fields } = await world.untilLogged("renewal failed; will try again, the certificate stays in use");
    expect(fields).toMatchObject({ code: "ca-busy" });
    expect(fields.waitSeconds).toBeGreaterThanOrEqual(60);
    world.clock.advance(59);
    await settle(world.client());
    expect(world.ca.requests).toHaveLength(2);
    const again = world
      .client()
      .withToken(token)
      .request({ names: ["default"] });
    expect(serialOf(await again.next())).toBe(serialOf(first));
    world.ca.script = "issue";
    world.clock.advance(2);
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
    expect(stream.ended).toBeUndefined();
    expect(await world.workloads()).toMatchObject([{ issuedCount: 2 }]);
  });

  test("at start: the agent serves, is not ready, and becomes so", async () => {
    await world.agent.stop();
    await world.ca.stop();
    await world.startAgent();
    const readiness = () => fetch(`${world.agent.adminUrl}/readyz`);
    expect((await fetch(`${world.agent.adminUrl}/healthz`)).status).toBe(200);
    const before = await readiness();
    expect(before.status).toBe(503);
    expect(await before.json()).toEqual({ ready: false, reason: "no trust bundle from the CA yet" });
    const stream = world.client().withToken(world.ca.token(makePod())).request({ names: [] });
    await world.untilLogged("no certificate yet; will try again");
    await world.ca.listen();
    await until("both secrets", () => stream.received.flatMap(({ secrets }) => secrets).length === 2, { every: 5 });
    expect((await readiness()).status).toBe(200);
    await world.ca.stop();
    expect((await readiness()).status).toBe(200);
  });

  test("at renewal: the certificate stays in use, through an Envoy restart too", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const client = world.client();
    const stream = client.withToken(token).request({ names: ["default"] });
    const first = await stream.next();
    await world.ca.stop();
    world.clock.advance(untilRenewal);
    await world.untilLogged("renewal failed; will try again, the certificate stays in use");
    stream.cancel();
    const again = world
      .client()
      .withToken(token)
      .request({ names: ["default"] });
    expect(serialOf(await again.next())).toBe(serialOf(first));
    expect(await world.workloads()).toMatchObject([{ lastError: { code: "ca-unreachable" } }]);
    await world.ca.listen();
    world.clock.advance(31);
    expect(serialOf(await again.next())).not.toBe(serialOf(first));
    expect(await world.workloads()).toMatchObject([{ lastError: null }]);
  });
});

describe("wrong answers are never served", () => {
  test.each([
    "key",
    "id",
    "chain",
    "expired",
    "future",
    "long-lived",
    "not-json",
    "empty-bundle",
    "other-domain",
    "huge",
  ] as const)("%s", async (wrong) => {
    world.ca.script = { wrong };
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    await world.untilRequests(2);
    expect(stream.received).toHaveLength(0);
    expect(world.metrics.issuance.get(wrong === "id" ? "ca-identity-differs" : "ca-answer-invalid")).toBeGreaterThan(0);
    expect(world.metrics.bundleSequence ?? 1).toBe(1);
    world.ca.script = "issue";
    await stream.next();
  });
});

test("an answer without end is cut off", async () => {
  world.ca.script = { wrong: "huge" };
  world
    .client()
    .withToken(world.ca.token(makePod()))
    .request({ names: ["default"] });
  const { fields } = await world.untilLogged("no certificate yet; will try again");
  expect(fields.reason).toContain("over 524288 bytes");
});

describe("the trust bundle", () => {
  test("is asked for again with its etag, and pushed to ROOTCA alone when it changes", async () => {
    const client = world.client();
    const token = world.ca.token(makePod());
    const roots = client.withToken(token).request({ names: ["ROOTCA"] });
    const stream = client.withToken(token).request({ names: ["default"] });
    await Promise.all([roots.nextAcked(["ROOTCA"]), stream.nextAcked(["default"])]);
    world.clock.advance(60);
    await until("an unchanged bundle", () => world.ca.bundleNotModified === 1, { every: 5 });
    world.ca.addRoot();
    world.clock.advance(60);
    const changed = await roots.next();
    expect(changed.secrets[0]?.roots).toBe(world.ca.rootPems.join(""));
    await settle(client);
    expect([roots.untaken, stream.untaken]).toEqual([0, 0]);
  });

  test("is learned from an issuance, too, and a lower sequence changes nothing", async () => {
    const client = world.client();
    const roots = client.withToken(world.ca.token(makePod())).request({ names: ["ROOTCA"] });
    await roots.nextAcked(["ROOTCA"]);
    world.ca.addRoot();
    await client
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] })
      .next();
    expect((await roots.nextAcked(["ROOTCA"])).secrets[0]?.roots).toBe(world.ca.rootPems.join(""));
    world.ca.sequence = 0;
    await client
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] })
      .next();
    await settle(client);
    expect(roots.untaken).toBe(0);
    expect(world.metrics.bundleSequence).toBe(2);
  });
});

describe("state", () => {
  test("outlives its last stream for a while, without the CA, then is dropped", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const client = world.client();
    const stream = client.withToken(token).request({ names: ["default"] });
    const first = await stream.next();
    stream.cancel();
    await stream.end();
    world.ca.script = { status: 503 };
    world.clock.advance(500);
    const again = client.withToken(token).request({ names: ["default"] });
    expect(serialOf(await again.next())).toBe(serialOf(first));
    again.cancel();
    await again.end();
    await until("the stream to be gone", () => world.metrics.streams === 0, { every: 5 });
    world.clock.advance(601);
    expect(await world.workloads()).toEqual([]);
  });

  test("whose renewal fell due with nobody there is renewed for the next who comes", async () => {
    const token = world.ca.token(makePod(), { lifetime: 7_200 });
    const client = world.client();
    const stream = client.withToken(token).request({ names: ["default"] });
    const first = await stream.next();
    world.clock.advance(1_500);
    stream.cancel();
    await until("the stream to be gone", () => world.metrics.streams === 0, { every: 5 });
    world.clock.advance(400);
    expect(world.ca.requests).toHaveLength(1);
    const again = client.withToken(token).request({ names: ["default"] });
    expect(serialOf(await again.next())).toBe(serialOf(first));
    expect(serialOf(await again.next())).not.toBe(serialOf(first));
  });

  test("shows no secret on any page", async () => {
    await world.client().withToken(world.ca.token(makePod())).request({ names: [] }).next();
    for (const page of ["/metrics", "/v1/workloads", "/healthz", "/readyz"]) {
      const text = await (await fetch(`${world.agent.adminUrl}${page}`)).text();
      expect(text).not.toMatch(/-----BEGIN|eyJ|PRIVATE/);
    }
  });
});

describe("stopping", () => {
  test("ends streams with UNAVAILABLE", async () => {
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["ROOTCA"] });
    await stream.next();
    await world.agent.stop();
    expect(await stream.end()).toMatchObject({ code: status.UNAVAILABLE });
    await world.startAgent();
  });

  test("does not wait for a CA that hangs", async () => {
    world.ca.script = "hang";
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    await world.untilRequests(1);
    await world.agent.stop();
    expect(await stream.end()).toMatchObject({ code: status.UNAVAILABLE });
    await world.startAgent();
  });
});
