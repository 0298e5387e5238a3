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

describe("secrets", () => {
  test("default is key and chain, leaf first, of the token's identity", async () => {
    const stream = world.client().withToken(world.ca.token(makePod("sleep", "foo")));
    const { secrets, nonce, version } = await stream.request({ names: ["default"] }).nextAcked(["default"]);
    expect(secrets).toHaveLength(1);
    const [secret] = secrets;
    expect(secret?.name).toBe("default");
    const leaf = new X509Certificate(secret?.chain ?? "");
    expect(leaf.subjectAltName).toBe("URI:spiffe://cluster.local/ns/foo/sa/sleep");
    expect(leaf.checkPrivateKey(createPrivateKey(secret?.key ?? ""))).toBe(true);
    expect(secret?.key).toContain("BEGIN PRIVATE KEY");
    expect(secret?.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(nonce).not.toBe("");
    expect(version).toBe(leaf.serialNumber.toLowerCase());
  });

  test("ROOTCA is the roots, needs a token and makes no CSR", async () => {
    const stream = world.client().withToken(world.ca.token(makePod()));
    const { secrets } = await stream.request({ names: ["ROOTCA"] }).nextAcked(["ROOTCA"]);
    expect(secrets).toEqual([
      { name: "ROOTCA", kind: "validationContext", chain: "", key: "", roots: world.ca.rootPems.join("") },
    ]);
    expect(world.ca.requests).toHaveLength(0);
  });

  test("the SPIFFE ID, the trust domain and ALL are names too, and come back as asked", async () => {
    const names = ["spiffe://cluster.local/ns/foo/sa/sleep", "spiffe://cluster.local", "ALL"];
    const stream = world
      .client()
      .withToken(world.ca.token(makePod("sleep", "foo")))
      .request({ names });
    const seen: string[] = [];
    while (seen.length < 3) seen.push(...(await stream.nextAcked(names)).secrets.map(({ name }) => name));
    expect(seen.toSorted()).toEqual(names.toSorted());
  });

  test("another workload's SPIFFE ID is an unknown name", async () => {
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod("sleep", "foo")));
    stream.request({ names: ["spiffe://cluster.local/ns/foo/sa/httpbin"] });
    await world.untilLogged("Envoy asks for a name that is not known here");
    expect(stream.received).toHaveLength(0);
  });

  test("no names at first means everything", async () => {
    const stream = world.client().withToken(world.ca.token(makePod())).request({ names: [] });
    const seen: string[] = [];
    while (seen.length < 2) seen.push(...(await stream.nextAcked([])).secrets.map(({ name }) => name));
    expect(seen.toSorted()).toEqual(["ROOTCA", "default"]);
  });
});

describe("requests", () => {
  test("an unknown name is counted and does not touch the known one", async () => {
    const stream = world.client().withToken(world.ca.token(makePod()));
    const { secrets } = await stream.request({ names: ["nonsense", "ROOTCA"] }).next();
    expect(secrets.map(({ name }) => name)).toEqual(["ROOTCA"]);
    expect(world.metrics.unknownNames).toBe(1);
  });

  test("a pod that asks for ever new unknown names is counted, but does not fill the log", async () => {
    const stream = world.client().withToken(world.ca.token(makePod()));
    for (let n = 0; n < 300; n++) stream.request({ names: [`nonsense-${n}`] });
    await until("all requests to be taken", () => world.metrics.unknownNames === 300);
    const told = world.lines.filter(({ message }) => message.includes("not known here"));
    expect(told.length).toBeGreaterThan(10);
    expect(told.length).toBeLessThan(150);
  });

  test("an ACK is counted and answered with nothing", async () => {
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod())).request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    await settle(client);
    expect(stream.untaken).toBe(0);
    expect(world.metrics).toMatchObject({ acks: 1, nacks: 0, pushes: 1 });
  });

  test("a NACK is logged without PEM, and causes no push and no CSR", async () => {
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod())).request({ names: ["default"] });
    const { nonce } = await stream.next();
    stream.request({ names: ["default"], nonce, nack: "KEY_VALUES_MISMATCH -----BEGIN PRIVATE KEY-----" });
    const { fields } = await world.untilLogged("Envoy refuses a secret");
    expect(fields).toMatchObject({ status: 13, reason: "KEY_VALUES_MISMATCH [PEM left out]" });
    await settle(client);
    expect(stream.untaken).toBe(0);
    expect(world.ca.requests).toHaveLength(1);
    expect(world.metrics).toMatchObject({ acks: 0, nacks: 1, pushes: 1 });
  });

  test("a NACK can ask for another name", async () => {
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    const { nonce } = await stream.next();
    stream.request({ names: ["default", "ROOTCA"], nonce, nack: "no" });
    expect((await stream.next()).secrets.map(({ name }) => name)).toEqual(["ROOTCA"]);
  });

  test("a stale nonce is ignored, names and all", async () => {
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod())).request({ names: ["ROOTCA"] });
    await stream.nextAcked(["ROOTCA"]);
    stream.request({ names: ["ROOTCA", "default"], nonce: "stale" });
    await settle(client);
    expect(world.ca.requests).toHaveLength(0);
    expect(world.metrics.acks).toBe(1);
  });

  test("a first request is answered though it carries the nonce and version of a stream before", async () => {
    const client = world.client();
    const token = world.ca.token(makePod());
    const before = await client
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    const again = client.withToken(token);
    again.request({ names: ["default"], nonce: before.nonce, version: before.version });
    expect(serialOf(await again.next())).toBe(serialOf(before));
    expect(world.metrics.acks).toBe(0);
  });

  test("a name that was given up gets no pushes, and is sent again when it is wanted again", async () => {
    const client = world.client();
    const stream = client.withToken(world.ca.token(makePod())).request({ names: ["ROOTCA"] });
    const { nonce } = await stream.next();
    stream.request({ names: [], nonce });
    await settle(client);
    world.ca.addRoot();
    world.clock.advance(60);
    await until("the new bundle", () => world.metrics.bundleSequence === 2, { every: 5 });
    await settle(client);
    expect(stream.untaken).toBe(0);
    stream.request({ names: ["ROOTCA"], nonce });
    expect((await stream.next()).secrets[0]?.roots).toContain("BEGIN CERTIFICATE");
  });

  test.each([
    {
      what: "another type_url",
      message: { names: ["default"], typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener" },
    },
    { what: "too many names", message: { names: Array.from({ length: 1_001 }, (_, n) => `name-${n}`) } },
  ])("$what ends the stream with INVALID_ARGUMENT", async ({ message }) => {
    const stream = world.client().withToken(world.ca.token(makePod()));
    expect(await stream.request(message).end()).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test("bytes that are no request end the stream with INVALID_ARGUMENT", async () => {
    const stream = world.client().withToken(world.ca.token(makePod()));
    expect(await stream.send(Uint8Array.of(0x0a, 0xff)).end()).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test("a client that closes its side is answered with OK and leaves nothing", async () => {
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["ROOTCA"] });
    await stream.next();
    stream.halfClose();
    expect(await stream.end()).toMatchObject({ code: status.OK });
    expect(world.metrics.streams).toBe(0);
  });
});
