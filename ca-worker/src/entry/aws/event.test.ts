import { describe, expect, test } from "vitest";
import { eventOf, type LambdaFront, type RawRequest } from "../../../../test/support/lambda-events.ts";
import { type HttpEvent, parseEvent, requestOf, resultOf } from "./event.ts";

const text = new TextEncoder();
const url: LambdaFront = { kind: "function-url" };
const api = (stage = "$default"): LambdaFront => ({ kind: "http-api", stage });
const post: RawRequest = {
  method: "POST",
  target: "/v1/certificates",
  rawHeaders: ["Content-Type", "application/json", "Authorization", "Bearer a.b.c", "Signet-Node-Token", "d.e.f"],
  body: text.encode('{"csr":"ä"}'),
};
/** The request that arrives when AWS makes an event of this one. */
const through = (request: Partial<RawRequest>, front: LambdaFront = url) =>
  requestOf(parseEvent(JSON.parse(JSON.stringify(eventOf({ ...post, ...request }, front)))) as HttpEvent);
/** The same for an event of our own. */
const given = (event: object) => requestOf(parseEvent(event) as HttpEvent);
const minimal = {
  version: "2.0",
  rawPath: "/healthz",
  headers: {},
  requestContext: { http: { method: "GET" } },
};

describe.each([
  { front: "a function URL", by: url },
  { front: "an HTTP API", by: api() },
  { front: "an HTTP API with a stage", by: api("prod") },
])("an event of $front", ({ by }) => {
  test("is the request that was sent", async () => {
    const request = through({ target: "/v1/trust-bundle?trustDomain=a.b&x=%20" }, by);
    expect(request.method).toBe("POST");
    const { pathname, search, protocol } = new URL(request.url);
    expect({ pathname, search, protocol }).toEqual({
      pathname: "/v1/trust-bundle",
      search: "?trustDomain=a.b&x=%20",
      protocol: "https:",
    });
    expect(request.headers.get("authorization")).toBe("Bearer a.b.c");
    expect(request.headers.get("signet-node-token")).toBe("d.e.f");
    expect(await request.text()).toBe('{"csr":"ä"}');
  });

  test("has a path that decoding made no other", () => {
    const paths = ["/v1/certificates%3Fx", "/v1%2Fcertificates%23", "/v1/certi%09ficates", "/v1%5Ccertificates"];
    for (const target of paths) {
      const { pathname, search, hash } = new URL(through({ target }, by).url);
      expect({ search, hash }).toEqual({ search: "", hash: "" });
      // A server that is Node itself leaves these as they came; none of them may become the route by a detour.
      if (!target.includes("%2F")) expect(pathname).not.toBe("/v1/certificates");
    }
  });
});

describe("a request", () => {
  test("keeps its host apart from its path", () => {
    expect(new URL(through({ target: "//evil.example/v1/certificates" }).url).host).toMatch(/\.on\.aws$/);
    expect(new URL(given({ ...minimal, rawPath: "@evil.example/" }).url).host).toBe("localhost");
    const event = { ...minimal, requestContext: { ...minimal.requestContext, domainName: "a/b@c" } };
    expect(new URL(given(event).url).host).toBe("localhost");
  });

  test.each([
    { stage: "prod", rawPath: "/prod/v1/certificates", path: "/v1/certificates" },
    { stage: "prod", rawPath: "/prod", path: "/" },
    { stage: "prod", rawPath: "/production/healthz", path: "/production/healthz" },
    { stage: "prod", rawPath: "/healthz", path: "/healthz" },
    { stage: "$default", rawPath: "/$default/healthz", path: "/$default/healthz" },
    { stage: "$default", rawPath: "", path: "/" },
  ])("of stage $stage at $rawPath is for $path", ({ stage, rawPath, path }) => {
    const event = { ...minimal, rawPath, requestContext: { ...minimal.requestContext, stage } };
    expect(new URL(given(event).url).pathname).toBe(path);
  });

  test("says the length that its body has, whatever the client said", async () => {
    const lies = ["content-length", "1", "transfer-encoding", "chunked", "content-type", "application/json"];
    const request = through({ rawHeaders: lies, body: text.encode("ää") });
    expect(request.headers.get("content-length")).toBe("4");
    expect(request.headers.has("transfer-encoding")).toBe(false);
    expect(await request.text()).toBe("ää");
    expect(given({ ...minimal, headers: { "transfer-encoding": "chunked" } }).headers.has("transfer-encoding")).toBe(
      false,
    );
    expect(given({ ...minimal, headers: { "content-length": "7" } }).headers.has("content-length")).toBe(false);
  });

  test("has the bytes of a body that came in base64", async () => {
    const body = Uint8Array.of(0, 0xff, 0x80, 0x0a);
    const event = eventOf({ ...post, rawHeaders: ["content-encoding", "gzip"], body }, url);
    expect(event).toMatchObject({ isBase64Encoded: true });
    const request = given(event);
    expect(new Uint8Array(await request.arrayBuffer())).toEqual(body);
    expect(request.headers.get("content-length")).toBe("4");
    expect(request.headers.get("content-encoding")).toBe("gzip");
  });

  test("joins a header that came twice, so that two tokens are none", () => {
    const rawHeaders = ["Authorization", "Bearer a", "authorization", "Bearer b"];
    expect(through({ rawHeaders }).headers.get("authorization")).toBe("Bearer a,Bearer b");
  });

  test("takes header names in any case, and leaves out what HTTP cannot carry", () => {
    const headers = {
      Authorization: "Bearer a",
      "x-a": "ü\u{1F600}",
      "signet-node-token": "a\nb",
      "x y": "z",
      "x-b": "b",
    };
    const request = given({ ...minimal, headers });
    expect([...request.headers.keys()]).toEqual(["authorization", "x-b"]);
  });

  test("has no cookies", () => {
    expect(through({ rawHeaders: ["cookie", "a=b"] }).headers.has("cookie")).toBe(false);
  });

  test.each(["GET", "HEAD"])("by %s drops a body, which would be a TypeError", (method) => {
    expect(through({ method }).body).toBeNull();
  });

  test.each(["CONNECT", "TRACE", "trace", "TRACK", "A B", ""])("by %j cannot be", (method) => {
    const event = { ...minimal, requestContext: { http: { method } } };
    expect(() => given(event)).toThrow(expect.objectContaining({ code: "method-not-allowed" }));
  });

  test("needs little of an event", async () => {
    const request = given({ ...minimal, body: null, cookies: null, headers: undefined });
    expect({ url: request.url, body: await request.text() }).toEqual({ url: "https://localhost/healthz", body: "" });
  });
});

describe("an event that is not of payload format 2.0", () => {
  test.each([
    { kind: "a REST API", event: { httpMethod: "GET", path: "/", resource: "/" }, says: "REST API", http: true },
    { kind: "payload format 1.0", event: { version: "1.0", path: "/" }, says: "PayloadFormatVersion", http: true },
    {
      kind: "a load balancer",
      event: { requestContext: { elb: { targetGroupArn: "arn" } }, httpMethod: "GET", path: "/" },
      says: "load balancer",
      http: true,
    },
    { kind: "a queue", event: { Records: [] }, says: "version", http: false },
    { kind: "nothing", event: null, says: "the event", http: false },
    { kind: "text", event: "text", says: "the event", http: false },
    {
      kind: "no method",
      event: { version: "2.0", rawPath: "/", requestContext: {} },
      says: "requestContext.http",
      http: true,
    },
    { kind: "headers of no text", event: { ...minimal, headers: { a: ["b"] } }, says: "headers.a", http: true },
  ])("is told from one that is: $kind", ({ event, says, http }) => {
    expect(parseEvent(event)).toEqual({ unsupported: expect.stringContaining(says), http });
  });
});

test("a result has all of an answer", async () => {
  const response = new Response('{"a":"ä"}', {
    status: 429,
    headers: { "Retry-After": "5", "content-type": "a/json" },
  });
  expect(await resultOf(response)).toEqual({
    statusCode: 429,
    headers: { "retry-after": "5", "content-type": "a/json" },
    body: '{"a":"ä"}',
    isBase64Encoded: false,
  });
  expect(await resultOf(new Response(null, { status: 304 }))).toMatchObject({ statusCode: 304, body: "" });
});
