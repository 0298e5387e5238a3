import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { Agent, get, request } from "node:https";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FrameSplitter, flag, frame, frameType, headerBlock, opening } from "../../../../test/support/http2-bytes.ts";
import { until } from "../../../../test/support/poll.ts";
import { makeServerCertificate, type ServerCertificateFiles } from "../../../../test/support/server-certificate.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import {
  type Abuse,
  createHttpServer,
  type HttpServer,
  type Listener,
  maxHeaderBytes,
  type ServerLimits,
} from "./http-server.ts";
import { readTlsFiles } from "./tls-files.ts";

const hello: Listener = (incoming, outgoing) => {
  incoming.resume();
  incoming.once("end", () => outgoing.end(`hello over ${incoming.httpVersion}`));
};

describe("the server of the API", () => {
  let folder: WorkFolder;
  let first: ServerCertificateFiles;
  let second: ServerCertificateFiles;
  let ca: string;
  const open: { destroy(): void }[] = [];
  beforeAll(async () => {
    folder = await makeWorkFolder("http-server");
    first = makeServerCertificate(folder.path, "first");
    second = makeServerCertificate(folder.path, "second");
    ca = (await readFile(first.certificate, "utf8")) + (await readFile(second.certificate, "utf8"));
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.destroy();
  });
  afterAll(() => folder.remove());

  interface Started {
    readonly server: HttpServer;
    readonly port: number;
    readonly abuses: readonly Abuse[];
    readonly codes: readonly (string | undefined)[];
  }
  async function start(limits: ServerLimits = {}, listener = hello): Promise<Started> {
    const abuses: Abuse[] = [];
    const codes: (string | undefined)[] = [];
    const { context } = await readTlsFiles(first);
    const onAbuse = (reason: Abuse, code?: string) => {
      abuses.push(reason);
      codes.push(code);
    };
    const server = createHttpServer({ listener, tls: context, limits, onAbuse });
    const port = await server.listen("127.0.0.1", 0);
    open.push(server);
    return { server, port, abuses, codes };
  }
  async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connect({ port, host: "127.0.0.1", ca, ...options });
    open.push(socket);
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    return socket;
  }
  async function session(port: number): Promise<ClientHttp2Session> {
    const client = connectHttp2(`https://127.0.0.1:${port}`, { ca });
    open.push(client);
    client.on("error", () => {});
    await once(client, "connect");
    return client;
  }
  async function ask(client: ClientHttp2Session, headers = {}): Promise<{ status: unknown; body: string }> {
    const stream = client.request({ ":path": "/", ...headers });
    stream.end();
    let status: unknown;
    stream.once("response", (response) => {
      status = response[":status"];
    });
    let body = "";
    stream.setEncoding("utf8");
    for await (const chunk of stream) body += chunk;
    return { status, body };
  }
  /** Frames of a client of our own, and what the server says until it ends the connection. */
  async function raw(port: number, bytes: Buffer): Promise<{ goAway: number | undefined; ended: boolean }> {
    const socket = await dial(port, { ALPNProtocols: ["h2"] });
    const splitter = new FrameSplitter();
    let goAway: number | undefined;
    socket.on("data", (chunk: Buffer) => {
      for (const { type, payload } of splitter.push(chunk)) {
        if (type === frameType.goAway) goAway = payload.readUInt32BE(4);
      }
    });
    socket.write(Buffer.concat([opening(), bytes]));
    await once(socket, "close");
    return { goAway, ended: true };
  }

  test("speaks HTTP/2 to those who ask for it by ALPN, and HTTP/1.1 to others and those without", async () => {
    const { port } = await start();
    expect(await ask(await session(port))).toEqual({ status: 200, body: "hello over 2.0" });
    for (const ALPNProtocols of [["http/1.1"], undefined]) {
      const [response] = await once(
        get({ port, ca, agent: false, ...(ALPNProtocols && { ALPNProtocols }) }),
        "response",
      );
      response.setEncoding("utf8");
      expect((await response.toArray()).join("")).toBe("hello over 1.1");
    }
  });

  test("without TLS speaks HTTP/1.1", async () => {
    const server = createHttpServer({ listener: hello });
    open.push(server);
    const port = await server.listen("127.0.0.1", 0);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("hello over 1.1");
  });

  test.each([
    { rule: "is taken", host: "127.0.0.1", says: /something else listens there/ },
    { rule: "is no interface's", host: "192.0.2.1", says: /no interface/ },
    { rule: "has no number", host: "nowhere.invalid", says: /no address|EAI_AGAIN/ },
  ])("an address that $rule is a fault of the configuration", async ({ host, says }) => {
    const { port } = await start();
    const server = createHttpServer({ listener: hello });
    const refused = expect.objectContaining({ code: "config-invalid", message: expect.stringMatching(says) });
    await expect(server.listen(host, port)).rejects.toEqual(refused);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("resumes no session of %s", async (version) => {
    const { port } = await start();
    const versions = { minVersion: version, maxVersion: version };
    const earlier = await dial(port, versions);
    const sessions: Buffer[] = [];
    earlier.on("session", (one: Buffer) => sessions.push(one));
    earlier.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(earlier, "data");
    const known = sessions.at(-1) ?? earlier.getSession();
    const later = await dial(port, { ...versions, ...(known && { session: known }) });
    expect(later.isSessionReused()).toBe(false);
  });

  test("shows a new certificate to new connections and keeps those that are open", async () => {
    const { server, port } = await start();
    const old = await session(port);
    server.setSecureContext((await readTlsFiles(second)).context);
    expect((await dial(port)).getPeerCertificate().subject.CN).toBe("second");
    expect(await ask(old)).toMatchObject({ status: 200 });
  });

  test("takes two tokens of the longest in its headers, and no more than it says", async () => {
    const { port } = await start();
    const fits = { authorization: "a".repeat(16_384), "signet-node-token": "b".repeat(16_384) };
    const over = { authorization: "a".repeat(maxHeaderBytes + 1) };
    const client = await session(port);
    expect(await ask(client, fits)).toMatchObject({ status: 200 });
    // From its second request on: the first may be under way before the client knows the settings.
    await expect(ask(client, over)).rejects.toThrow(/ENHANCE_YOUR_CALM/);
    const statusOf = async (headers: Record<string, string>) =>
      (await once(get({ port, ca, agent: false, headers }), "response"))[0].statusCode;
    expect(await statusOf(fits)).toBe(200);
    expect(await statusOf(over)).toBe(431);
  });

  test.each([
    { flood: "pings", bytes: () => frame(frameType.ping, 0, 0, Buffer.alloc(8)) },
    { flood: "settings", bytes: () => frame(frameType.settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255])) },
    {
      flood: "streams that are given up at once",
      bytes: (n: number) =>
        Buffer.concat([
          frame(
            frameType.headers,
            flag.endHeaders,
            2 * n + 1,
            headerBlock({ ":method": "POST", ":scheme": "https", ":authority": "a", ":path": "/" }),
          ),
          frame(frameType.reset, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8])),
        ]),
    },
  ])("ends a session that floods it with $flood", async ({ bytes }) => {
    const { port, abuses } = await start();
    const many = Buffer.concat(Array.from({ length: 400 }, (_, n) => bytes(n)));
    expect(await raw(port, many)).toEqual({ goAway: constants.NGHTTP2_ENHANCE_YOUR_CALM, ended: true });
    expect(abuses).toEqual(["http2-flood"]);
  });

  test("keeps a session that pings now and then", async () => {
    const { port, abuses } = await start();
    const client = await session(port);
    for (let n = 0; n < 100; n++) await new Promise<void>((resolve) => client.ping(() => resolve()));
    expect(await ask(client)).toMatchObject({ status: 200 });
    expect(abuses).toEqual([]);
  });

  test("gives up a request of HTTP/2 that does not come to its end, and keeps the session", async () => {
    const { port, abuses } = await start({ requestTimeoutMs: 100 });
    const client = await session(port);
    const stream = client.request({ ":path": "/", ":method": "POST" });
    stream.write("{");
    await once(stream, "close");
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(abuses).toEqual(["slow-stream"]);
    expect(await ask(client)).toMatchObject({ status: 200 });
  });

  test("ends a connection of HTTP/1.1 whose request does not come to its end", async () => {
    const { port } = await start({ requestTimeoutMs: 100 });
    const slow = request({ port, ca, agent: false, method: "POST" });
    slow.write("{");
    const [response] = await once(slow, "response");
    expect(response.statusCode).toBe(408);
    slow.destroy();
  });

  test.each([
    { kind: "that never begins TLS", dial: async (port: number) => connectTcp(port, "127.0.0.1") },
    { kind: "of HTTP/2", dial: (port: number) => dial(port, { ALPNProtocols: ["h2"] }) },
    { kind: "of HTTP/1.1", dial: (port: number) => dial(port) },
  ])("ends an idle connection $kind", async ({ dial: connectIt }) => {
    const { server, port } = await start({ requestTimeoutMs: 200, idleTimeoutMs: 200 });
    const socket = await connectIt(port);
    socket.on("error", () => {}).resume();
    await once(socket, "close");
    await until("the server to forget it", () => server.connections === 0);
  });

  test("takes no more connections than it has room for", async () => {
    const { port, abuses } = await start({ maxConnections: 1 });
    await dial(port);
    const refused = connectTcp(port, "127.0.0.1").on("error", () => {});
    refused.resume();
    await once(refused, "close");
    expect(abuses).toContain("too-many-connections");
  });

  test("counts a client that does not trust it", async () => {
    const { port, abuses, codes } = await start();
    const stranger = connect({ port, host: "127.0.0.1" });
    await expect(once(stranger, "secureConnect")).rejects.toThrow(/self-signed/);
    await until("the server to see it", () => abuses.includes("handshake"));
    expect(codes).toEqual(["ECONNRESET"]);
  });

  describe("when it closes", () => {
    /** Answers when it is told to. */
    function held() {
      const waiting: (() => void)[] = [];
      const listener: Listener = (incoming, outgoing) => {
        incoming.resume();
        waiting.push(() => outgoing.end("late"));
      };
      return { listener, waiting };
    }

    test("answers what is under way on both versions, tells HTTP/2 to go, and lets idle connections go", async () => {
      const { listener, waiting } = held();
      const { server, port } = await start({}, listener);
      const client = await session(port);
      const goAway = once(client, "goaway");
      const overHttp2 = ask(client);
      const agent = new Agent({ keepAlive: true, ca });
      const overHttp1 = once(get({ port, agent }), "response");
      const idle = await dial(port);
      await until("both requests to be there", () => waiting.length === 2);
      const closed = server.close();
      await once(idle.resume(), "close");
      await goAway;
      await expect(once(connectTcp(port, "127.0.0.1"), "connect")).rejects.toThrow(/ECONNREFUSED/);
      for (const answer of waiting) answer();
      expect(await overHttp2).toEqual({ status: 200, body: "late" });
      expect((await overHttp1)[0].statusCode).toBe(200);
      agent.destroy();
      await closed;
    });

    test("can cut off what does not come to an end", async () => {
      const { listener, waiting } = held();
      const { server, port } = await start({}, listener);
      const overHttp2 = ask(await session(port));
      overHttp2.catch(() => {});
      await until("the request to be there", () => waiting.length === 1);
      const closed = server.close();
      server.destroy();
      await closed;
      await expect(overHttp2).resolves.toMatchObject({ status: undefined });
    });
  });
});
