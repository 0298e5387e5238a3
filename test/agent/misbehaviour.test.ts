import { constants } from "node:http2";
import { Status } from "@signet/node-agent/grpc/status";
import { afterEach, describe, expect, test } from "vitest";
import { frame, frameType, headerBlock, opening } from "../support/http2-bytes.ts";
import { until } from "../support/poll.ts";
import { data, ended, GrpcWorld, headers, message, openCall, type RawClient } from "./grpc-world.ts";

let world: GrpcWorld;
afterEach(async () => {
  await world.stop();
});

describe("a connection on which no call is opened is closed in the end", () => {
  test.each([
    { what: "not a word", bytes: [] },
    { what: "half a preface", bytes: [Buffer.from("PRI * HTTP/2.0\r\n")] },
    { what: "a preface alone", bytes: [opening()] },
    { what: "half a frame", bytes: [opening(), openCall(1).subarray(0, 20)] },
    { what: "PINGs now and then", bytes: [opening(), frame(frameType.ping, 0, 0, Buffer.alloc(8))] },
  ])("$what", async ({ bytes }) => {
    world = await GrpcWorld.start({ idleMilliseconds: 40 });
    const client = world.raw().send(...bytes);
    await client.untilClosed();
    expect(world.metrics.refusedConnections).toEqual(new Map([["idle", 1]]));
    await world.expectService();
  });

  test("something else than HTTP/2: at once", async () => {
    world = await GrpcWorld.start();
    await world
      .raw()
      .send(Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2)))
      .untilClosed();
    await world.expectService();
  });
});

describe("a call whose message does not come", () => {
  test.each([
    { what: "no byte of it", sent: undefined },
    { what: "half its head", sent: message(100).subarray(0, 3) },
    { what: "half of it", sent: message(100, 50) },
    { what: "a second one, after a whole one", sent: Buffer.concat([message(3), message(100, 50)]) },
  ])("$what: DEADLINE_EXCEEDED, and the connection stays", async ({ sent }) => {
    world = await GrpcWorld.start({ messageMilliseconds: 40 });
    const slow = world.session();
    const stream = slow.request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    if (sent !== undefined) stream.write(sent);
    expect(await answer).toMatchObject({ status: String(Status.DEADLINE_EXCEEDED) });
    expect(slow.destroyed).toBe(false);
    await world.expectService();
  });

  test("once it has come, the call may be silent for ever", async () => {
    world = await GrpcWorld.start({ messageMilliseconds: 10 });
    const quiet = world.session();
    const stream = quiet.request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.write(message(3));
    await until("the echo", () => world.calls[0]?.awaitingSince === undefined);
    // A call that must go at the next look comes and goes meanwhile.
    expect(await ended(world.session().request({ ...headers }, { endStream: false }))).toMatchObject({ status: "4" });
    stream.end();
    expect(await answer).toMatchObject({ status: "0" });
  });

  test("ends within a message: INTERNAL", async () => {
    world = await GrpcWorld.start();
    const stream = world.session().request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.end(message(100, 50));
    expect(await answer).toMatchObject({ status: String(Status.INTERNAL) });
  });
});

describe("a client that does not read", () => {
  const size = 60_000;

  test("has one message on its way for each call, is not read from, and is closed in the end", async () => {
    world = await GrpcWorld.start({ sendMilliseconds: 300 });
    const deaf = world.session().request({ ...headers }, { endStream: false });
    const closed = new Promise((resolve) => deaf.once("close", resolve));
    deaf.on("error", () => undefined);
    deaf.pause();
    // Its window takes one answer and some; what is behind waits on its own side.
    for (let n = 0; n < 50; n++) deaf.write(message(size));
    await until("an answer waits", () => world.messages > 1);
    await world.expectService();
    await until("it is closed", () => world.metrics.refusedConnections.get("not-reading") === 1);
    expect(world.messages).toBeLessThan(6);
    deaf.resume();
    await closed;
    expect(world.calls.map(({ isOpen }) => isOpen)).toEqual([false, false]);
    await world.expectService();
  });

  test("nor from its socket: not even that stays open", async () => {
    world = await GrpcWorld.start({ sendMilliseconds: 300 });
    const deaf = world.raw().send(opening(), openCall(1));
    deaf.socket.pause();
    await until("the call", () => world.calls.length === 1);
    // Its windows are wide: it is the socket's buffer that fills.
    await until(
      "it is closed",
      () => {
        if (world.calls[0]?.sendingSince === undefined) deaf.send(data(1, message(16_000)));
        return world.metrics.refusedConnections.get("not-reading") === 1;
      },
      { every: 1 },
    );
    await until("its socket is closed", async () => (await world.openSockets()) === 0);
  });

  test("does not read its status either: closed in the end", async () => {
    world = await GrpcWorld.start({ sendMilliseconds: 40 });
    const client = world.session();
    client.settings({ initialWindowSize: 0 });
    const stream = client.request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.end(message(3));
    expect((await answer).status).toBeUndefined();
    expect(world.metrics.refusedConnections).toEqual(new Map([["not-reading", 1]]));
  });
});

describe("a client that opens too much", () => {
  test("10,000 calls on one connection: refused beyond the bound, and closed when it goes on", async () => {
    world = await GrpcWorld.start({ maxCallsPerConnection: 100 }, () => true);
    const greedy = world.raw().send(opening());
    let most = 0;
    for (let n = 0; n < 10_000; n++) greedy.send(openCall(2 * n + 1));
    await until("it is refused", () => {
      most = Math.max(most, world.calls.filter(({ isOpen }) => isOpen).length);
      return greedy.closed;
    });
    expect(most).toBeLessThanOrEqual(100);
    expect(world.calls.length).toBeLessThanOrEqual(100);
    await world.expectService();
  });

  test("calls that nobody vouches for: RESOURCE_EXHAUSTED beyond a lower bound, and not once somebody does", async () => {
    let trusted = false;
    world = await GrpcWorld.start({ maxUntrustedCallsPerConnection: 3 }, () => trusted);
    const client = world.session();
    const open = () => ended(client.request({ ...headers }, { endStream: false }));
    const first = [open(), open(), open()];
    expect(await open()).toMatchObject({ status: String(Status.RESOURCE_EXHAUSTED) });
    trusted = true;
    const stream = client.request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.end(message(1));
    expect(await answer).toMatchObject({ status: "0" });
    client.destroy();
    await Promise.all(first);
  });

  test("connections: the oldest that nobody vouches for makes room, one that is vouched for stays", async () => {
    world = await GrpcWorld.start({ maxConnections: 3 }, (call) => call.headers.first("x-trusted") === "yes");
    const good = world.session();
    const held = good.request({ ...headers, "x-trusted": "yes" }, { endStream: false });
    const heldEnd = ended(held);
    await until("the good call", () => world.calls.length === 1);
    const bad: RawClient[] = [];
    for (let n = 0; n < 6; n++) {
      bad.push(world.raw().send(opening(), openCall(1)));
      await until("the connection", () => world.calls.length === n + 2);
    }
    await until("four are closed", () => bad.filter(({ closed }) => closed).length === 4);
    expect(bad.map(({ closed }) => closed)).toEqual([true, true, true, true, false, false]);
    expect(world.metrics.refusedConnections).toEqual(new Map([["crowded-out", 4]]));
    await world.expectService();
    held.end(message(1));
    expect(await heldEnd).toMatchObject({ status: "0" });
  });

  test("connections that are all vouched for: a further one is closed", async () => {
    world = await GrpcWorld.start({ maxConnections: 2 }, () => true);
    for (let n = 0; n < 2; n++) {
      world.session().request({ ...headers }, { endStream: false });
      await until("the call", () => world.calls.length === n + 1);
    }
    await world.raw().send(opening()).untilClosed();
    expect(world.metrics.refusedConnections).toEqual(new Map([["too-many", 1]]));
    expect(world.calls.every(({ isOpen }) => isOpen)).toBe(true);
  });

  test("calls on many connections: the oldest that nobody vouches for makes room", async () => {
    world = await GrpcWorld.start({ maxCalls: 4 });
    const bad = [0, 1, 2, 3].map(() => world.raw().send(opening(), openCall(1)));
    await until("the calls", () => world.calls.length === 4);
    await world.expectService();
    await until("one is closed", () => bad.some(({ closed }) => closed));
    expect(bad.map(({ closed }) => closed)).toEqual([true, false, false, false]);
  });

  test("a connection that makes room makes it for as many calls as it had", async () => {
    world = await GrpcWorld.start({ maxCalls: 4 });
    const bad = [0, 1].map(() => world.raw().send(opening(), openCall(1), openCall(3)));
    await until("the calls", () => world.calls.length === 4);
    const honest = world.raw().send(opening(), openCall(1), openCall(3));
    await until("more calls", () => world.calls.length === 6);
    await until("one is closed", () => bad[0]?.closed);
    expect(world.metrics.refusedConnections).toEqual(new Map([["crowded-out", 1]]));
    expect([bad[1]?.closed, honest.closed]).toEqual([false, false]);
  });

  test("halves of messages whose client has gone do not count", async () => {
    world = await GrpcWorld.start({ maxPartialBytes: 20_000 });
    for (let n = 0; n < 4; n++) {
      const client = world.raw().send(opening(), openCall(1), data(1, message(60_000, 15_000)));
      await until("what is held", () => world.calls[n]?.partialBytes === 15_005);
      client.socket.destroy();
      await until("it is gone", () => world.metrics.connections === 0);
    }
    expect(world.metrics.refusedConnections).toEqual(new Map());
  });

  test("halves of messages: beyond the bound the oldest is closed, an honest one gets through", async () => {
    world = await GrpcWorld.start({ maxPartialBytes: 100_000 });
    const bad = [0, 1, 2, 3].map(() => world.raw().send(opening(), openCall(1)));
    for (const client of bad.slice(0, 3)) {
      client.send(data(1, message(60_000, 15_000)), data(1, Buffer.alloc(15_000)));
      await until("what is held", () => world.calls.some(({ partialBytes }) => partialBytes === 30_005));
    }
    expect(bad.some(({ closed }) => closed)).toBe(false);
    bad[3]?.send(data(1, message(60_000, 15_000)));
    await until("the oldest is closed", () => bad.some(({ closed }) => closed));
    expect(world.metrics.refusedConnections).toEqual(new Map([["partial-messages", 1]]));
    await world.expectService();
  });
});

describe("floods", () => {
  const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8));
  const settings = frame(frameType.settings, 0, 0);
  const reset = (stream: number) => frame(frameType.reset, 0, stream, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL));

  test.each([
    { what: "PING", bytes: ping },
    { what: "SETTINGS", bytes: settings },
  ])("$what whose answers are not read: closed by HTTP/2 when many wait, else in the end", async ({ bytes }) => {
    world = await GrpcWorld.start({ idleMilliseconds: 500 });
    const flood = world.raw().send(opening());
    flood.socket.pause();
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => bytes));
    const isClosed = () => {
      if (flood.socket.writableLength < 2 ** 20 && !flood.socket.destroyed) flood.send(many);
      return world.metrics.connections === 0;
    };
    await until("it is closed", isClosed, { every: 1 });
    await world.expectService();
  });

  test.each([
    { what: "empty frames", make: () => data(1, Buffer.alloc(0)) },
    { what: "calls that are cancelled at once", make: (n: number) => cancelled(2 * n + 3) },
    { what: "CONTINUATION without an end", make: (n: number) => frame(n === 0 ? 1 : 9, 0, 3, headerBlock({ a: "b" })) },
  ])("$what: closed by HTTP/2", async ({ make }) => {
    world = await GrpcWorld.start();
    const flood = world.raw().send(opening(), openCall(1));
    await until("the call", () => world.calls.length === 1);
    let sent = 0;
    const isClosed = () => {
      for (let n = 0; n < 500 && !flood.socket.destroyed; n++) flood.send(make(sent++));
      return world.metrics.connections === 0;
    };
    await until("it is closed", isClosed, { every: 1 });
    expect(world.calls.length).toBeLessThan(1_000);
    await world.expectService();
  });

  function cancelled(stream: number): Buffer {
    return Buffer.concat([openCall(stream), reset(stream)]);
  }
});
