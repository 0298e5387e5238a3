import { Status } from "@signet/node-agent/grpc/status";
import { afterEach, describe, expect, test } from "vitest";
import { frameType, opening } from "../support/http2-bytes.ts";
import { until } from "../support/poll.ts";
import { data, ended, GrpcWorld, headers, message, openCall } from "./grpc-world.ts";

let world: GrpcWorld;
afterEach(async () => {
  await world.stop();
});

describe("what is no gRPC call", () => {
  test.each([
    { what: "GET", more: { ":method": "GET" }, want: { httpStatus: 405 } },
    { what: "another content type", more: { "content-type": "application/json" }, want: { httpStatus: 415 } },
    { what: "gRPC-Web", more: { "content-type": "application/grpc-web" }, want: { httpStatus: 415 } },
    { what: "no such method", more: { ":path": "/test/Nothing" }, want: { httpStatus: 200, status: "12" } },
    { what: "gzip", more: { "grpc-encoding": "gzip" }, want: { httpStatus: 200, status: "12" } },
    { what: "a timeout that is none", more: { "grpc-timeout": "soon" }, want: { httpStatus: 200, status: "13" } },
  ])("$what", async ({ more, want }) => {
    world = await GrpcWorld.start();
    expect(await ended(world.session().request({ ...headers, ...more }))).toMatchObject({ ...want, reset: 0 });
    expect(world.calls).toHaveLength(0);
  });

  test("a message that is compressed: UNIMPLEMENTED", async () => {
    world = await GrpcWorld.start();
    const stream = world.session().request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.write(Buffer.of(1, 0, 0, 0, 1, 0));
    expect(await answer).toMatchObject({ status: String(Status.UNIMPLEMENTED) });
  });

  test("a message that claims too much: RESOURCE_EXHAUSTED before it has come", async () => {
    world = await GrpcWorld.start({ maxMessageBytes: 1_000 });
    const stream = world.session().request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.write(message(1_001, 1));
    expect(await answer).toMatchObject({ status: String(Status.RESOURCE_EXHAUSTED) });
    expect(await until("the call", () => world.calls[0])).toMatchObject({ partialBytes: 0 });
  });

  test("a deadline of the client's own: DEADLINE_EXCEEDED", async () => {
    world = await GrpcWorld.start();
    const stream = world.session().request({ ...headers, "grpc-timeout": "20m" }, { endStream: false });
    const answer = ended(stream);
    stream.write(message(1));
    expect(await answer).toMatchObject({ status: String(Status.DEADLINE_EXCEEDED), body: message(1) });
  });
});

describe("what is", () => {
  test("messages over many frames, many in one frame, and empty ones", async () => {
    world = await GrpcWorld.start();
    const client = world.raw().send(opening(), openCall(1));
    const bytes = Buffer.concat([message(0), message(700), message(0), message(3)]);
    for (const byte of bytes) client.send(data(1, Buffer.of(byte)));
    client.send(data(1, bytes));
    // Echoes may share a frame.
    const echoed = () =>
      Buffer.concat(client.frames.filter(({ type }) => type === frameType.data).map((one) => one.payload));
    await until("the echoes", () => echoed().length >= 2 * bytes.length);
    expect(echoed()).toEqual(Buffer.concat([bytes, bytes]));
  });

  test("content types of gRPC with a format, or a parameter", async () => {
    world = await GrpcWorld.start();
    for (const type of ["application/grpc+proto", "application/grpc;charset=utf-8"]) {
      const stream = world.session().request({ ...headers, "content-type": type }, { endStream: false });
      const answer = ended(stream);
      stream.end(message(1));
      expect(await answer).toMatchObject({ status: "0" });
    }
  });

  test("calls that are open when the server stops are waited for, then cut", async () => {
    world = await GrpcWorld.start();
    const client = world.session();
    const stream = client.request({ ...headers }, { endStream: false });
    const answer = ended(stream);
    stream.write(message(1));
    await until("the call", () => world.calls.length === 1);
    await world.server.stop(20);
    expect((await answer).status).toBeUndefined();
    await world.raw().untilClosed();
  });
});
