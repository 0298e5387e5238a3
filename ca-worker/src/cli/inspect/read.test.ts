import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeServerCertificate, type ServerCertificateFiles } from "../../../../test/support/server-certificate.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { readGiven } from "./read.ts";

async function* nothing(): AsyncGenerator<Buffer> {}

describe("what is to be looked at", () => {
  let folder: WorkFolder;
  let tls: ServerCertificateFiles;
  let servers: Server[];
  let http: string;
  let https: string;
  const seen: string[] = [];
  const answer: RequestListener = ({ url = "", headers }, response) => {
    seen.push(`${url} ${headers.authorization}`);
    if (url === "/moved") response.writeHead(302, { location: "/bundle" });
    else if (url === "/problem") response.writeHead(404, { "content-type": "application/problem+json" });
    else if (url.startsWith("/error")) response.writeHead(500);
    response.end(url === "/large" ? Buffer.alloc(5 * 1024 * 1024) : `{"at":"${url}"}`);
  };
  beforeAll(async () => {
    folder = await makeWorkFolder("read");
    tls = makeServerCertificate(folder.path, "server");
    const pair = { cert: await readFile(tls.certificate), key: await readFile(tls.key) };
    servers = [createHttpServer(answer), createHttpsServer(pair, answer)];
    const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await Promise.all(servers.map(listen));
    const [plain, secure] = servers.map((server) => (server.address() as AddressInfo).port);
    http = `http://127.0.0.1:${plain}`;
    https = `https://127.0.0.1:${secure}`;
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await folder.remove();
  });
  const read = async (what: string, caCertificate?: string, stdin: AsyncIterable<Buffer> = nothing()) => {
    const { bytes, source } = await readGiven(what, { stdin, caCertificate });
    return { text: Buffer.from(bytes).toString(), source };
  };

  test("is a file, or standard input", async () => {
    const path = join(folder.path, "file");
    await writeFile(path, "text");
    expect(await read(path)).toEqual({ text: "text", source: path });
    async function* parts() {
      yield Buffer.from("te");
      yield Buffer.from("xt");
    }
    expect(await read("-", undefined, parts())).toEqual({ text: "text", source: "standard input" });
  });

  test("is what a URL answers, a problem of the CA too", async () => {
    expect(await read(`${http}/bundle?secret=1`)).toEqual({
      text: '{"at":"/bundle?secret=1"}',
      source: `${http}/bundle`,
    });
    expect((await read(`${http}/problem`)).text).toBe('{"at":"/problem"}');
    expect((await read(`${https}/bundle`, tls.certificate)).text).toBe('{"at":"/bundle"}');
  });

  test("is the certificate of a server that nobody has to trust, and no request is sent there", async () => {
    const before = seen.length;
    const { text } = await read(https);
    expect(text.replaceAll(/\s/g, "")).toBe((await readFile(tls.certificate, "utf8")).replaceAll(/\s/g, ""));
    expect(seen).toHaveLength(before);
  });

  test.each([
    {
      rule: "a file that is missing",
      what: () => "/none.pem",
      code: "source-unavailable",
      says: /\/none\.pem cannot be read \(ENOENT\)/,
    },
    {
      rule: "a server that is not trusted",
      what: () => `${https}/bundle`,
      code: "source-unavailable",
      says: /SELF_SIGNED/,
    },
    { rule: "a redirect", what: () => `${http}/moved`, code: "source-unavailable", says: /answers 302/ },
    { rule: "an error", what: () => `${http}/error?secret=1`, code: "source-unavailable", says: /\/error answers 500/ },
    { rule: "what is too large", what: () => `${http}/large`, code: "source-unavailable", says: /over \d+ bytes/ },
    {
      rule: "plain http to another machine",
      what: () => "http://192.0.2.1/secret",
      code: "config-invalid",
      says: /https/,
    },
    {
      rule: "a user in a URL",
      what: () => "https://user:secret@127.0.0.1/",
      code: "config-invalid",
      says: /without a user/,
    },
    { rule: "another scheme", what: () => "ftp://a/secret", code: "config-invalid", says: /https/ },
    {
      rule: "a token as the argument",
      what: () => `${"secret".repeat(8)}.${"a".repeat(20)}.b`,
      code: "config-invalid",
      says: /a token is no argument/,
    },
  ])("is refused for $rule, without what may be secret in it", async ({ what, code, says }) => {
    const error: unknown = await read(what()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "SignetError", code, message: expect.stringMatching(says) });
    expect((error as Error).message).not.toContain("secret");
  });
});
