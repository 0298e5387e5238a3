import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { makePod, World } from "./world.ts";

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A GET with this Host header, which fetch() would not let a test choose. */
function get(url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: new Agent() }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.once("end", () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    sent.once("error", reject).end();
  });
}

const identityRoutes = ["/", "/v1/status", "/v1/workloads", "/metrics"];

describe("admin routes", () => {
  let world: World;
  let telemetry: string;
  const url = (path: string) => `${world.agent.adminUrl}${path}`;
  beforeAll(async () => {
    telemetry = `127.0.0.1:${await freePort()}`;
    world = await World.start({ telemetry: { value: telemetry, source: "test" } });
    const stream = world
      .client()
      .withToken(world.ca.token(makePod("sleep", "foo")))
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
  });
  afterAll(() => world.stop());

  test.each(identityRoutes)("%s answers to the names of this machine alone", async (path) => {
    for (const host of ["localhost", "LOCALHOST:15021", "127.0.0.1:1", "127.8.8.8", "[::1]:15021"]) {
      expect(await get(url(path), { host }), host).toMatchObject({ status: 200 });
    }
    const strangers = [
      "evil.test",
      "evil.test:15021",
      "localhost.evil.test",
      "127.0.0.1.evil.test",
      "localhost@evil.test",
    ];
    for (const host of [...strangers, "10.0.0.1", "[fe80::1]", "0.0.0.0"]) {
      const { body, status } = await get(url(path), { host });
      expect(status, host).toBe(403);
      expect(body).not.toContain("foo");
    }
  });

  test("health answers to any name, as the kubelet may ask by one", async () => {
    for (const path of ["/healthz", "/readyz"])
      expect(await get(url(path), { host: "node-1" })).toMatchObject({ status: 200 });
  });

  test("telemetry has no identities but those of metrics", async () => {
    for (const path of ["/", "/v1/status", "/v1/workloads"]) {
      expect(await get(`http://${telemetry}${path}`)).toMatchObject({ status: 404 });
    }
    expect(await get(`http://${telemetry}/metrics`, { host: "signet-node-agent.monitoring" })).toMatchObject({
      status: 200,
    });
  });

  test.each(identityRoutes)("%s lets no other origin read it, show it or guess at it", async (path) => {
    const { headers } = await get(url(path), { origin: "https://evil.test" });
    expect(headers).toMatchObject({
      "cross-origin-resource-policy": "same-origin",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    });
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("the page may run its own script and style, and nothing else", async () => {
    const { body, headers } = await get(url("/"));
    const policy = String(headers["content-security-policy"]);
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; connect-src 'self';/,
    );
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(body).not.toMatch(/\/\*(?:script|style)\*\//);
    expect(body.match(/(?:src|href)="(?!data:|#|\/v1\/)/g)).toBeNull();
  });

  test("GET and HEAD are all there is", async () => {
    expect(await get(url("/v1/status"), {}, "HEAD")).toMatchObject({ status: 200, body: "" });
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect(await get(url("/v1/status"), {}, method)).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    }
    expect(await get(url("/v1/status?a=1"))).toMatchObject({ status: 200 });
    expect(await get(url("/v1/Status"))).toMatchObject({ status: 404 });
  });

  test("/v1/workloads is sent again only when something about one is new", async () => {
    const first = await get(url("/v1/workloads"));
    const tag = { "if-none-match": String(first.headers.etag) };
    expect(await get(url("/v1/workloads"), tag)).toMatchObject({ status: 304, body: "" });
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    const second = await get(url("/v1/workloads"), tag);
    expect(second.status).toBe(200);
    expect(JSON.parse(second.body)).toHaveLength(2);
  });

  test("/v1/status tells of the agent, the CA and the bundle", async () => {
    const status = JSON.parse((await get(url("/v1/status"))).body) as Record<string, unknown>;
    expect(status).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      trustDomain: "cluster.local",
      socket: world.socket,
      notReady: null,
      csi: null,
      ca: [{ url: expect.stringContaining(world.ca.url), state: "healthy", lastError: null }],
      bundle: {
        sequence: 1,
        refreshHintSeconds: 60,
        roots: [{ subject: "CN=root", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
      },
      took: { ca: { count: expect.any(Number), mean: expect.any(Number) } },
      counters: { issuance: { issued: expect.any(Number) } },
    });
  });

  test("one who holds thousands of connections pushes out his own, and nobody is kept out", async () => {
    const sockets: Socket[] = [];
    const [host = "", port = ""] = telemetry.split(":");
    let closed = 0;
    for (let at = 0; at < 1_000; at++) {
      const socket = connect({ host, port: Number(port), localAddress: "127.0.0.9" });
      socket.on("error", () => undefined).on("close", () => closed++);
      sockets.push(socket);
    }
    await until("the surplus to be closed", () => closed >= 936, { every: 5 });
    expect(await get(`http://${telemetry}/healthz`)).toMatchObject({ status: 200 });
    for (const socket of sockets) socket.destroy();
  });

  test("one who asks for metrics all the time gets most of them as they were a moment ago", async () => {
    const rendered = async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => get(`http://${telemetry}/metrics`)));
      return new Set(answers.map(({ body }) => /^process_cpu_seconds_total .*/m.exec(body)?.[0])).size;
    };
    expect(await rendered()).toBeLessThan(20);
    const [early = ""] = (await get(`http://${telemetry}/metrics`)).body.match(/^process_cpu_seconds_total .*/m) ?? [];
    await until("later figures", async () => !(await get(`http://${telemetry}/metrics`)).body.includes(early));
  });
});
