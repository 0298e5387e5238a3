import { connect } from "node:net";
import { problemContentType } from "@signet/shared/ca-api";
import { expect, test } from "vitest";
import { makeCsr } from "../support/csr.ts";
import { ask, type Bench } from "./platforms.ts";

const posts = ["/v1/certificates", "/v1/certificates/batch"];
const gets = [
  "/v1/trust-bundle",
  "/v1/token-issuers",
  "/.well-known/spiffe-bundle",
  "/openapi.json",
  "/healthz",
  "/readyz",
];
const foreignMethods = ["PUT", "PATCH", "DELETE"];
const nowhere = [
  "/*",
  "/",
  "/v1",
  "/v1/nothing",
  "/v1/certificates/",
  "/v1//certificates",
  "/V1/certificates",
  "/v1/certificates%2fbatch",
  "/v1/certificates;x=1",
  "/metrics/../v1/nothing",
  "/.well-known/spiffe-bundle.json",
  "/__proto__",
  "/constructor",
];

/** What every answer is like, whatever was asked, and what paths and methods are answered with. */
export function httpRules(bench: () => Bench): void {
  test("each answer has a name of its own, is of its type, and no page's; none speaks of other origins", async () => {
    const origin = { origin: "https://evil.example.com", "x-request-id": "mine" };
    const responses = [
      await ask(bench(), { headers: origin }),
      await ask(bench(), { token: null, headers: origin }),
      ...(await Promise.all([...gets, "/v1/nothing"].map((path) => bench().fetch(path, { headers: origin })))),
      await bench().fetch("/v1/certificates", { method: "OPTIONS", headers: origin }),
    ];
    const ids = responses.map(({ headers }) => {
      expect(Object.fromEntries(headers)).toMatchObject({
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": expect.stringMatching(/^(?:no-store|public, max-age=\d+)$/),
      });
      const names = [...headers.keys()];
      expect(names.filter((name) => /^(?:access-control|server$|x-powered)/.test(name))).toEqual([]);
      return headers.get("x-request-id");
    });
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("OPTIONS tells the methods of each path, and lets no page of another origin in", async () => {
    const preflight = {
      origin: "https://evil.example.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, signet-node-token",
    };
    for (const path of [...posts, ...gets]) {
      const response = await bench().fetch(path, { method: "OPTIONS", headers: preflight });
      const allow = posts.includes(path) ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
      expect([path, response.status, response.headers.get("allow"), await response.text()]).toEqual([
        ...[path, 204, allow, ""],
      ]);
      expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect((await bench().fetch("/v1/nothing", { method: "OPTIONS" })).status).toBe(404);
  });

  test("another method than a path's is 405 with those that it has", async () => {
    const cases = [
      ...posts.flatMap((path) =>
        ["GET", ...foreignMethods].map((method) => ({ path, method, allow: "POST, OPTIONS" })),
      ),
      ...gets.flatMap((path) =>
        ["POST", ...foreignMethods].map((method) => ({ path, method, allow: "GET, HEAD, OPTIONS" })),
      ),
    ];
    for (const { path, method, allow } of cases) {
      const response = await bench().fetch(path, { method });
      expect([path, method, response.status, response.headers.get("allow")]).toEqual([path, method, 405, allow]);
      expect(response.headers.get("content-type")).toBe(problemContentType);
      expect(await response.json()).toMatchObject({ type: "urn:signet:problem:method-not-allowed", status: 405 });
    }
  });

  test("what is nowhere is 404, and nothing of it comes back", async () => {
    for (const path of nowhere) {
      const response = await bench().fetch(path);
      const text = await response.text();
      expect([path, response.status, response.headers.get("allow")]).toEqual([path, 404, null]);
      expect(JSON.parse(text)).toMatchObject({ type: "urn:signet:problem:not-found", status: 404 });
      if (path.length > 3) expect(text).not.toContain(path);
    }
  });

  test("HEAD is GET without a body, and no way to a path that has no GET", async () => {
    for (const path of gets) {
      const [head, get] = [await bench().fetch(path, { method: "HEAD" }), await bench().fetch(path)];
      expect([path, head.status, await head.text()]).toEqual([path, 200, ""]);
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
      expect(head.headers.get("etag")).toBe(get.headers.get("etag"));
    }
    for (const path of posts) {
      const head = await bench().fetch(path, { method: "HEAD" });
      expect([path, head.status, head.headers.get("allow"), await head.text()]).toEqual([
        ...[path, 405, "POST, OPTIONS", ""],
      ]);
    }
    const nothing = await bench().fetch("/v1/nothing", { method: "HEAD" });
    expect([nothing.status, await nothing.text()]).toEqual([404, ""]);
  });
}

interface Frame {
  readonly rule: string;
  /** Everything but the request line, host, type and tokens. */
  readonly frame: (body: string) => string;
}

/** Requests whose end is not where they say. None may be taken for a whole one, nor for two. */
const frames: readonly Frame[] = [
  { rule: "a length that is too small", frame: (body) => `content-length: ${body.length - 40}\r\n\r\n${body}` },
  { rule: "a length that is too large", frame: (body) => `content-length: ${body.length + 40}\r\n\r\n${body}` },
  {
    rule: "two lengths",
    frame: (body) => `content-length: ${body.length}\r\ncontent-length: ${body.length - 40}\r\n\r\n${body}`,
  },
  { rule: "a length that is no number", frame: (body) => `content-length: +${body.length}\r\n\r\n${body}` },
  { rule: "a chunk of no length", frame: (body) => `transfer-encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n` },
  {
    rule: "a chunk that is shorter than it says",
    frame: (body) => `transfer-encoding: chunked\r\n\r\n${(body.length + 9).toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  },
  {
    rule: "no last chunk",
    frame: (body) => `transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}`,
  },
  { rule: "an encoding that is none", frame: (body) => `transfer-encoding: xchunked\r\n\r\n${body}` },
];

/** What no client library sends: only where there is a plain socket to send it to. */
export function framingRules(bench: () => Bench): void {
  test.each(frames)("no certificate for $rule, and the next client is served", async ({ frame }) => {
    const { issuer, sleep, agent, url } = bench();
    const headers = [
      "POST /v1/certificates HTTP/1.1",
      "host: ca.test",
      "content-type: application/json",
      `authorization: Bearer ${await issuer.token(sleep)}`,
      `signet-node-token: ${await issuer.token(agent)}`,
    ];
    const answer = await sendRaw(url, `${headers.join("\r\n")}\r\n${frame(JSON.stringify({ csr: makeCsr() }))}`);
    expect(answer).not.toMatch(/^HTTP\/1\.1 (?:2|500)/m);
    expect(answer).not.toContain("BEGIN CERTIFICATE");
    expect((await bench().fetch("/healthz")).status).toBe(200);
  });

  test("TRACE gives nothing back", async () => {
    const answer = await sendRaw(
      bench().url,
      "TRACE /v1/certificates HTTP/1.1\r\nhost: ca.test\r\nx-secret: s3cret\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (?:4|501)/);
    expect(answer).not.toContain("s3cret");
  });
}

/** Targets and hosts that make no URL. On Workers the platform's own front answers such. */
export function targetRules(bench: () => Bench): void {
  test.each([
    ...["OPTIONS * HTTP/1.1\r\nhost: ca.test", "GET //v1/certificates HTTP/1.1\r\nhost: ca.test"],
    ...["GET /%ff%00 HTTP/1.1\r\nhost: ca.test", "GET /v1/../../etc/passwd HTTP/1.1\r\nhost: ca.test"],
    ...["GET http://evil.example.com/v1/nothing HTTP/1.1\r\nhost: ca.test", "GET /v1/nothing HTTP/1.1"],
    ...["GET /v1/nothing HTTP/1.1\r\nhost: a b", "GET /v1/nothing HTTP/1.1\r\nhost: a\r\nhost: b"],
    ...["GET /v1/nothing HTTP/0.9", "GET /v1/nothing HTTP/9.9\r\nhost: ca.test", "\u0016\u0003\u0001\u0002\u0000"],
  ])("is not at a loss for an answer to %j", async (head) => {
    expect(await sendRaw(bench().url, `${head}\r\nconnection: close\r\n\r\n`)).not.toMatch(/^HTTP\/1\.1 (?:2|5)/);
    expect((await bench().fetch("/healthz")).status).toBe(200);
  });
}

/** Sends bytes, ends its side, and gives all that comes back until the other side ends, too. */
function sendRaw(url: string | undefined, text: string): Promise<string> {
  const { hostname, port } = new URL(url ?? expect.fail("there is no socket"));
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.end(text));
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      answer += part;
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" ? resolve(answer) : reject(error),
    );
    socket.on("close", () => resolve(answer));
  });
}
