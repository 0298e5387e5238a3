import type { RequestListener } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Listening, startHttp } from "../../test/support/listening.ts";
import { fetchText } from "./fetch-text.ts";

const secret = "sig=0123456789";
let server: Listening;
let answer: RequestListener;
let base: string;

beforeAll(async () => {
  server = await startHttp((request, response) => answer(request, response));
  base = server.url;
});
afterAll(() => server.stop());

const read = (options: { readonly etag?: string; readonly timeoutMs?: number } = {}) =>
  fetchText(fetch, `${base}/deny.json?${secret}`, {
    accept: "application/json",
    timeoutMs: 5_000,
    maxBytes: 100,
    ...options,
  });

describe("a text at a URL", () => {
  test("is read, with the whole URL asked for", async () => {
    const asked: unknown[] = [];
    answer = (request, response) => {
      asked.push(request.url, request.headers.accept, request.headers["if-none-match"]);
      response.writeHead(200, { etag: '"1"' }).end("{} ünd");
    };
    expect(await read()).toEqual({ text: "{} ünd", etag: '"1"' });
    expect(asked).toEqual([`/deny.json?${secret}`, "application/json", undefined]);
  });

  test("is not sent again while it is the same", async () => {
    answer = (request, response) => {
      response.writeHead(request.headers["if-none-match"] === '"1"' ? 304 : 200, { etag: '"2"' }).end();
    };
    expect(await read({ etag: '"1"' })).toBe("unchanged");
    expect(await read({ etag: '"0"' })).toEqual({ text: "", etag: '"2"' });
  });

  test.each<{ rule: string; answer: RequestListener; reason: RegExp }>([
    {
      rule: "304 that nobody asked for",
      answer: (_, response) => response.writeHead(304).end(),
      reason: /: it answers 304$/,
    },
    { rule: "404", answer: (_, response) => response.writeHead(404).end("secret page"), reason: /: it answers 404$/ },
    {
      rule: "a redirect, which could lead anywhere",
      answer: (_, response) => response.writeHead(302, { location: `${base}/other` }).end(),
      reason: /: it answers 302$/,
    },
    { rule: "too many bytes", answer: (_, response) => response.end("x".repeat(101)), reason: /more than 100 bytes$/ },
    {
      rule: "bytes without end",
      answer: (_, response) => {
        const timer = setInterval(() => response.write("x".repeat(60)), 1);
        response.once("close", () => clearInterval(timer));
      },
      reason: /more than 100 bytes$/,
    },
    { rule: "what is not UTF-8", answer: (_, response) => response.end(Buffer.of(0xff)), reason: /utf-8/i },
    { rule: "a broken connection", answer: (_, response) => response.destroy(), reason: /: fetch failed \([A-Z_]+\)$/ },
  ])("is not taken from $rule", async ({ answer: given, reason }) => {
    answer = given;
    const error = await read().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "source-unavailable", message: expect.stringMatching(reason) });
    // A signed URL has its secret in the query.
    expect((error as Error).message).not.toContain(secret);
    expect((error as Error).message).toContain(`${base}/deny.json: `);
  });

  test("is not waited for without end", async () => {
    answer = () => {};
    await expect(read({ timeoutMs: 20 })).rejects.toMatchObject({ code: "source-unavailable" });
  });
});
