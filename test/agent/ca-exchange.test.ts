import { createServer, type Server, type Socket } from "node:net";
import { Connections } from "@signet/node-agent/ca/connections";
import { exchange, type HttpRequest } from "@signet/node-agent/ca/exchange";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A server that says what it is told, byte for byte, to each request in turn. */
let server: Server;
let connections: Connections;
let sockets: Socket[];
let requests: string[];
let answer: (socket: Socket, request: number) => void;

beforeEach(async () => {
  sockets = [];
  requests = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      requests.push(bytes.toString("latin1"));
      answer(socket, requests.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  connections = await Connections.to({ url: url(), pinnedCa: undefined, proxy: undefined });
});
afterEach(async () => {
  connections.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function url(): URL {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return new URL(`http://127.0.0.1:${address.port}/v1/certificates`);
}

const ask = (more: Partial<HttpRequest> = {}, limits = {}) =>
  exchange(
    connections,
    { method: "POST", url: url(), headers: { authorization: "Bearer geheim" }, body: "é", ...more },
    { timeoutMilliseconds: 5_000, maxBytes: 10, ...limits },
  );
const respond = (socket: Socket, body: string, head = "200 OK") =>
  socket.write(`HTTP/1.1 ${head}\r\ncontent-length: ${body.length}\r\nX-A: 1\r\nx-a: 2\r\n\r\n${body}`);

test("gives status, headers and body, and says the length of what it sends in bytes", async () => {
  answer = (socket) => respond(socket, "hello");
  const { body, header, status } = await ask();
  expect({ status, body, header: header("content-length") }).toEqual({ status: 200, body: "hello", header: "5" });
  expect(requests[0]).toMatch(/^POST \/v1\/certificates HTTP\/1\.1\r\n/);
  expect(requests[0]).toContain("content-length: 2\r\n");
});

test("follows no redirect", async () => {
  answer = (socket) => respond(socket, "", "307 Temporary Redirect\r\nlocation: /elsewhere");
  expect((await ask()).status).toBe(307);
  expect(requests).toHaveLength(1);
});

test("sends again what a kept connection took with it, and only then", async () => {
  answer = (socket, request) => {
    if (request === 2) socket.resetAndDestroy();
    else respond(socket, "hello");
  };
  await ask();
  // The connection is free again once the answer was read.
  await new Promise((resolve) => setImmediate(resolve));
  expect((await ask()).body).toBe("hello");
  expect(requests).toHaveLength(3);
  expect(sockets).toHaveLength(2);
});

test("a server that restarts takes all kept connections with it: the request goes out on a new one", async () => {
  answer = (socket) => {
    // Together, so that there are three connections.
    if (requests.length === 3) for (const one of sockets) respond(one, "first");
    else if (requests.length > 3 && sockets.indexOf(socket) < 3) socket.destroy();
    else if (requests.length > 3) respond(socket, "again");
  };
  await Promise.all([ask(), ask(), ask()]);
  expect(sockets).toHaveLength(3);
  expect((await ask()).body).toBe("again");
  expect(requests).toHaveLength(5);
});

test("a new connection that is cut is a failure", async () => {
  answer = (socket) => socket.resetAndDestroy();
  await expect(ask()).rejects.toMatchObject({ code: "ca-unreachable" });
  expect(requests).toHaveLength(1);
});

test("an answer that is cut short is a failure, on a kept connection too", async () => {
  answer = (socket, request) => {
    if (request === 1) respond(socket, "hello");
    else socket.end("HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\nhel");
  };
  await ask();
  await expect(ask()).rejects.toMatchObject({ code: "ca-unreachable" });
  expect(requests).toHaveLength(2);
});

test("an answer that is too long is cut off while it comes", async () => {
  answer = (socket) => socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n");
  await expect(ask()).rejects.toMatchObject({ code: "ca-answer-invalid", message: "the CA's answer is over 10 bytes" });
});

test("an answer that drips is given up in time", async () => {
  answer = (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nh");
  const limits = { timeoutMilliseconds: 100 };
  await expect(ask({}, limits)).rejects.toMatchObject({
    code: "ca-unreachable",
    message: "the CA did not answer within 0.1 s",
  });
});

test("after a silence no kept connection is trusted any more: all of them may be dead", async () => {
  answer = (socket) => respond(socket, "hello");
  await Promise.all([ask(), ask()]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(sockets).toHaveLength(2);
  const dead = new Set(sockets);
  answer = (socket) => {
    if (!dead.has(socket)) respond(socket, "again");
  };
  await expect(ask({}, { timeoutMilliseconds: 100 })).rejects.toMatchObject({ code: "ca-unreachable" });
  expect((await ask()).body).toBe("again");
  expect(sockets).toHaveLength(3);
});

test("what is no HTTP is a failure", async () => {
  answer = (socket) => socket.end("SSH-2.0-OpenSSH_9.9\r\n");
  await expect(ask()).rejects.toMatchObject({ code: "ca-unreachable" });
});

test("a header that may not be sent is refused, and not quoted", async () => {
  const error = await ask({ headers: { authorization: "Bearer geheim\r\nx: y" } }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "ca-refused" });
  expect(String(error)).not.toContain("geheim");
  expect(sockets).toHaveLength(0);
});
