import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Listening, startHttp } from "../../../test/support/listening.ts";
import { discoverJwkSet, fetchJwkSet, isAllowedKeyUrl } from "./fetch-keys.ts";

const unavailable = expect.objectContaining({ name: "SignetError", code: "issuer-unavailable" });
const jwks = { keys: [{ kty: "EC" }] };

describe("keys over HTTP", () => {
  let server: Listening;
  let base: string;
  let requests: string[];
  let routes: Record<string, RequestListener>;
  beforeAll(async () => {
    server = await startHttp((request, response) => {
      requests.push(request.url ?? "");
      const route = routes[request.url ?? ""];
      if (route === undefined) response.writeHead(404).end("{}");
      else route(request, response);
    });
    base = server.url;
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    requests = [];
    routes = {};
  });
  const json =
    (value: unknown, status = 200): RequestListener =>
    (_request, response) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

  test("a JWK Set is read as it is", async () => {
    routes["/jwks"] = json(jwks);
    expect(await fetchJwkSet(fetch, `${base}/jwks`)).toEqual({ document: jwks, maxAgeSeconds: undefined });
  });

  test("a place that serves nothing but application/jwk-set+json is asked for that too, as an API server wants it", async () => {
    routes["/jwks"] = (request, response) => {
      const accepted = request.headers.accept?.includes("application/jwk-set+json") === true;
      response
        .writeHead(accepted ? 200 : 406, { "content-type": "application/jwk-set+json" })
        .end(JSON.stringify(jwks));
    };
    expect(await fetchJwkSet(fetch, `${base}/jwks`)).toEqual({ document: jwks, maxAgeSeconds: undefined });
  });

  test.each([301, 302, 303, 307, 308])("a redirect (%d) is refused and not followed", async (status) => {
    routes["/jwks"] = (_request, response) => response.writeHead(status, { location: `${base}/other` }).end("{}");
    routes["/other"] = json(jwks);
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
    expect(requests).toEqual(["/jwks"]);
  });

  test.each([201, 203, 204, 400, 401, 404, 500, 503])("the status %d is refused", async (status) => {
    routes["/jwks"] = status === 204 ? (_, response) => response.writeHead(204).end() : json(jwks, status);
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
  });

  test.each([
    { rule: "a document over 256 KiB", body: JSON.stringify({ keys: [], pad: "x".repeat(256 * 1_024) }) },
    { rule: "a document that is null", body: "null" },
    { rule: "a document that is a string", body: '"keys"' },
    { rule: "a document that is a number", body: "1" },
    { rule: "a document that is not JSON", body: "<html>" },
    { rule: "an empty document", body: "" },
    { rule: "a document with a member twice", body: '{"keys":[],"keys":[{"kty":"EC"}]}' },
    { rule: "a document that is not UTF-8", body: Buffer.from('{"keys":["\u00e9"]}', "latin1") },
  ])("$rule is refused", async ({ body }) => {
    routes["/jwks"] = (_request, response) => response.end(body);
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
  });

  test.each(["null", "<html>", undefined])(
    "no message has the query, in which a signed URL has its secret: %s",
    async (body) => {
      if (body !== undefined) routes["/jwks?sig=hunter2"] = (_request, response) => response.end(body);
      const error = await fetchJwkSet(fetch, `${base}/jwks?sig=hunter2`).catch((thrown: Error) => thrown);
      expect(requests).toEqual(["/jwks?sig=hunter2"]);
      expect(String(error)).toContain(`${base}/jwks: `);
      expect(String(error)).not.toContain("hunter2");
    },
  );

  test("a document of exactly 256 KiB is read", async () => {
    const empty = JSON.stringify({ pad: "" }).length;
    routes["/jwks"] = json({ pad: "x".repeat(256 * 1_024 - empty) });
    expect((await fetchJwkSet(fetch, `${base}/jwks`)).document).toEqual({ pad: expect.any(String) });
  });

  test("of a document without an end no more is read than may count", async () => {
    let sent = 0;
    let closed = () => {};
    const ended = new Promise<void>((resolve) => {
      closed = resolve;
    });
    routes["/jwks"] = (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1_024, " "))) sent += 64 * 1_024;
      };
      response.writeHead(200).on("drain", more).on("close", closed);
      more();
    };
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
    await ended;
    expect(sent).toBeLessThan(64 * 1_024 * 1_024);
  });

  test("a compressed document counts as it unfolds", async () => {
    const body = gzipSync(JSON.stringify({ pad: "x".repeat(1_024 * 1_024) }));
    expect(body.length).toBeLessThan(10_000);
    routes["/jwks"] = (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(body);
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
  });

  test.each([
    ["public, max-age=3600", 3_600],
    ["max-age=0", 0],
    ['MAX-AGE="60", must-revalidate', 60],
    ["no-cache", 0],
    ["no-store, max-age=60", 0],
    ["s-maxage=5", undefined],
    ["max-age=-1", undefined],
    ["max-age=1e9", undefined],
    ["private", undefined],
  ])("cache-control: %s is read as %s", async (value, seconds) => {
    routes["/jwks"] = (_request, response) =>
      response.writeHead(200, { "cache-control": value }).end(JSON.stringify(jwks));
    expect((await fetchJwkSet(fetch, `${base}/jwks`)).maxAgeSeconds).toBe(seconds);
  });

  test("a server that ends the connection is unavailable", async () => {
    routes["/jwks"] = (request) => request.socket.destroy();
    await expect(fetchJwkSet(fetch, `${base}/jwks`)).rejects.toEqual(unavailable);
  });

  const wellKnown = "/.well-known/openid-configuration";
  test.each([
    { rule: "an issuer", path: "" },
    { rule: "an issuer with a path", path: "/id/cluster" },
  ])("discovery: $rule", async ({ path }) => {
    const issuer = base + path;
    routes[path + wellKnown] = json({ issuer, jwks_uri: `${base}/keys` });
    routes["/keys"] = json(jwks);
    expect((await discoverJwkSet(fetch, issuer)).document).toEqual(jwks);
    expect(requests).toEqual([path + wellKnown, "/keys"]);
  });

  test("discovery: a slash at the issuer's end is part of its name but not of the URL", async () => {
    routes[wellKnown] = json({ issuer: `${base}/`, jwks_uri: `${base}/keys` });
    routes["/keys"] = json(jwks);
    expect((await discoverJwkSet(fetch, `${base}/`)).document).toEqual(jwks);
  });

  test.each([
    {
      rule: "the configuration of another issuer",
      document: () => ({ issuer: "https://other", jwks_uri: `${base}/keys` }),
    },
    { rule: "an issuer with another end", document: () => ({ issuer: `${base}/`, jwks_uri: `${base}/keys` }) },
    { rule: "no issuer", document: () => ({ jwks_uri: `${base}/keys` }) },
    { rule: "no jwks_uri", document: () => ({ issuer: base }) },
    { rule: "a jwks_uri that is no string", document: () => ({ issuer: base, jwks_uri: [`${base}/keys`] }) },
    { rule: "a jwks_uri that is no URL", document: () => ({ issuer: base, jwks_uri: "/keys" }) },
    {
      rule: "a jwks_uri over plain http",
      document: () => ({ issuer: base, jwks_uri: "http://keys.example.com/keys" }),
    },
    { rule: "a jwks_uri that is a file", document: () => ({ issuer: base, jwks_uri: "file:///etc/passwd" }) },
    { rule: "a jwks_uri with data in it", document: () => ({ issuer: base, jwks_uri: "data:application/json,{}" }) },
    { rule: "a list", document: () => [] },
  ])("discovery: refuse $rule, and ask for no keys", async ({ document }) => {
    routes[wellKnown] = json(document());
    routes["/keys"] = json(jwks);
    await expect(discoverJwkSet(fetch, base)).rejects.toEqual(unavailable);
    expect(requests).toEqual([wellKnown]);
  });

  test("discovery: an issuer elsewhere leads to nothing on this machine", async () => {
    const asked: string[] = [];
    const elsewhere = async (url: string) => {
      asked.push(url);
      return Response.json({ issuer: "https://issuer.example.com", jwks_uri: `${base}/keys` });
    };
    await expect(discoverJwkSet(elsewhere, "https://issuer.example.com")).rejects.toEqual(unavailable);
    expect(asked).toEqual([`https://issuer.example.com${wellKnown}`]);
  });

  test("discovery: a redirect of the keys is refused as well", async () => {
    routes[wellKnown] = json({ issuer: base, jwks_uri: `${base}/keys` });
    routes["/keys"] = (_request, response) => response.writeHead(302, { location: `${base}/other` }).end();
    routes["/other"] = json(jwks);
    await expect(discoverJwkSet(fetch, base)).rejects.toEqual(unavailable);
    expect(requests).toEqual([wellKnown, "/keys"]);
  });
});

describe("URLs that keys may come from", () => {
  test.each([
    "https://issuer.example.com/jwks",
    "https://10.0.0.1:6443/openid/v1/jwks",
    "http://127.0.0.1:8080/jwks",
    "http://localhost/jwks",
    "http://[::1]:1/",
  ])("%s", (url) => {
    expect(isAllowedKeyUrl(url)).toBe(true);
  });
  test.each([
    "http://issuer.example.com/jwks",
    "http://10.0.0.1/jwks",
    "http://127.0.0.1.example.com/jwks",
    "http://localhost@issuer.example.com/jwks",
    "https://user@issuer.example.com/jwks",
    "https://:secret@issuer.example.com/jwks",
    "https://issuer.example.com/jwks#keys",
    "ftp://issuer.example.com/jwks",
    "file:///jwks.json",
    "data:application/json,{}",
    "//issuer.example.com/jwks",
    "issuer.example.com",
    "",
  ])("not %s", (url) => {
    expect(isAllowedKeyUrl(url)).toBe(false);
  });
});
