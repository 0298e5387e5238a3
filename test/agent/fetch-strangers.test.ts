import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { runFetch } from "@signet/node-agent/fetch/command";
import type { FetchFlags } from "@signet/node-agent/fetch/flags";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "@signet/node-agent/gen/envoy/service/discovery/v3/discovery_pb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { testIo } from "./command-io.ts";
import { SecretSchema, secretTypeUrl } from "./messages.ts";

let folder: string;
let socket: string;
const closing: (() => void)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signet-fetch-"));
  socket = join(folder, "s");
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  rmSync(folder, { recursive: true });
});

async function fetch(flags: Partial<FetchFlags> = {}) {
  const { io, shown } = testIo();
  const code = await runFetch({ socket, name: ["default"], timeout: 30, ...flags }, io);
  return { code, shown: shown() };
}

async function listen(server: Server | ReturnType<typeof createHttp2Server>, path = socket): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, () => resolve()));
  closing.push(() => server.close());
}

/** A gRPC server that is no agent; it gives each call to `answer`. */
async function serve(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void, path = socket) {
  const server = createHttp2Server();
  server.on("session", (session) => closing.push(() => session.destroy()));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    answer(stream, headers);
  });
  await listen(server, path);
}

function endWith(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.respond(
    { ":status": 200, "content-type": "application/grpc", "grpc-status": status, "grpc-message": message },
    { endStream: true },
  );
}

const frame = (message: Uint8Array) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

function secret(value: Parameters<typeof create<typeof SecretSchema>>[1], typeUrl = secretTypeUrl): Uint8Array {
  const any = { typeUrl, value: toBinary(SecretSchema, create(SecretSchema, value)) };
  return toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { nonce: "n1", resources: [any] }));
}

describe("nobody there", () => {
  test.each([
    ["no socket", () => undefined, /there is no such socket; is the agent running\?/],
    ["a file", () => writeFileSync(socket, ""), /ECONNREFUSED|nobody serves it|no socket/],
    ["a path without end", () => undefined, /no such socket|too long/],
  ])("%s", async (how, prepare, message) => {
    prepare();
    const path = how === "a path without end" ? join(folder, "x".repeat(200)) : socket;
    await expect(fetch({ socket: path })).rejects.toMatchObject({
      code: "agent-unreachable",
      message: expect.stringMatching(message),
    });
  });

  test("a socket that was left behind", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    // Another name for it stays when the server takes the first away.
    linkSync(socket, `${socket}2`);
    await new Promise((resolve) => server.close(resolve));
    await expect(fetch({ socket: `${socket}2` })).rejects.toThrow(
      "left behind by a process that is gone; start the agent",
    );
  });

  test("somebody who says nothing", async () => {
    const sockets: Socket[] = [];
    await listen(createServer((one) => sockets.push(one)));
    await expect(fetch({ timeout: 0.1 })).rejects.toThrow("no HTTP/2 handshake within 0.1 s");
    for (const one of sockets) one.destroy();
  });

  test("somebody who speaks something else", async () => {
    await listen(createServer((one) => one.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n")));
    await expect(fetch()).rejects.toThrow(/does not speak HTTP\/2|closed before the HTTP\/2 handshake/);
  });
});

test("a path that is too long for a socket's address is reached all the same", async () => {
  const deep = join(folder, "volumes/kubernetes.io~csi".padEnd(120, "x"));
  mkdirSync(deep, { recursive: true });
  await serve((stream) => endWith(stream, 7, "reached"));
  renameSync(socket, join(deep, "socket"));
  const { shown } = await fetch({ socket: join(deep, "socket") });
  expect(shown).toContain("PERMISSION_DENIED: reached");
  writeFileSync(socket, "");
});

describe("refusals are told with what mends them", () => {
  test.each([
    [3, "INVALID_ARGUMENT", "of the same version"],
    [5, "NOT_FOUND", "--svid-name"],
    [7, "PERMISSION_DENIED", "another node"],
    [8, "RESOURCE_EXHAUSTED", "ask again in a moment"],
    [12, "UNIMPLEMENTED", "is no SDS server"],
    [13, "INTERNAL", "see the agent's log"],
    [14, "UNAVAILABLE", "signet-agent status"],
    [99, "status 99", "see the agent's log"],
  ])("%d", async (status, name, mend) => {
    await serve((stream) => endWith(stream, status, "because%20of%20this"));
    const { code, shown } = await fetch();
    expect(shown).toContain(`fail  ${name}: because of this`);
    expect(shown).toContain(mend);
    expect(code).toBe(1);
  });

  test("without --delta where a server has none", async () => {
    await serve((stream) => endWith(stream, 12, ""));
    expect((await fetch({ delta: true })).shown).toContain("leave --delta out");
  });

  test("and a server that is no gRPC server", async () => {
    await serve((stream) => {
      stream.respond({ ":status": 404 });
      stream.end("nothing here");
    });
    expect((await fetch()).shown).toContain("fail  UNKNOWN: HTTP status 404");
  });
});

describe("what a server says is foreign", () => {
  test("words that a terminal would obey", async () => {
    await serve((stream) => endWith(stream, 13, encodeURIComponent("\u001b[2J\u001b[31mowned\n  ok    all is well")));
    const { shown } = await fetch();
    expect(shown).not.toContain("\u001b");
    expect(shown.split("\n").filter((line) => line.startsWith("  ok"))).toEqual([]);
    expect(shown).toContain("owned");
  });

  test("words that are not well encoded are shown as they came", async () => {
    await serve((stream) => endWith(stream, 13, "100% wrong"));
    expect((await fetch()).shown).toContain("INTERNAL: 100% wrong");
  });

  test.each([
    ["compressed", Buffer.from([1, 0, 0, 0, 1, 0]), "compressed"],
    ["endless", Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), "bytes"],
  ])("a message that is %s", async (_how, bytes, words) => {
    await serve((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(bytes);
    });
    const { code, shown } = await fetch();
    expect(shown).toContain("fail  INTERNAL");
    expect(shown).toContain(words);
    expect(code).toBe(1);
  });

  test.each([
    ["of another type", secret({ name: "default" }, "type.googleapis.com/Other"), "no secret"],
    ["empty", secret({ name: "default" }), "neither a certificate nor a bundle"],
    [
      "kept in a file",
      secret({
        name: "default",
        type: {
          case: "tlsCertificate",
          value: { certificateChain: { specifier: { case: "filename", value: "/etc/x" } } },
        },
      }),
      "it names a file",
    ],
    [
      "without a certificate in it",
      secret({
        name: "default",
        type: { case: "tlsCertificate", value: { certificateChain: inline("nothing"), privateKey: inline("") } },
      }),
      "not PEM",
    ],
    [
      "a key where a certificate is expected",
      secret({
        name: "ROOTCA",
        type: {
          case: "validationContext",
          value: { trustedCa: inline("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") },
        },
      }),
      "a PRIVATE KEY stands where",
    ],
  ])("a secret that is %s is refused, as an Envoy would", async (_how, message, words) => {
    const heard: Buffer[] = [];
    await serve((stream) => {
      stream.on("data", (chunk: Buffer) => heard.push(chunk));
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(frame(message));
    });
    await expect(fetch()).rejects.toMatchObject({ code: "malformed-request", message: expect.stringContaining(words) });
    const requests = () => split(Buffer.concat(heard)).map((one) => fromBinary(DiscoveryRequestSchema, one));
    await until("the refusal", () => requests().length === 2, { every: 5, within: 5_000 });
    expect(requests()[1]).toMatchObject({ responseNonce: "n1", errorDetail: { code: 3 } });
  });
});

function inline(text: string) {
  return { specifier: { case: "inlineString" as const, value: text } };
}

function split(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}
