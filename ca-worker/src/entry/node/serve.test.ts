import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { get } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeCsr } from "../../../../test/support/csr.ts";
import { fetchTrusting } from "../../../../test/support/https.ts";
import { makeServerCertificate } from "../../../../test/support/server-certificate.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { makeNode, makePod, TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { parseAuthorityDocument } from "../../authority/document.ts";
import { type Config, parseConfig } from "../../config.ts";
import { type Running, type ServeOptions, serve } from "./serve.ts";

const issuer = await TokenIssuer.create();

describe("serve on Node", () => {
  let folder: WorkFolder;
  let running: Running[];
  beforeEach(async () => {
    folder = await makeWorkFolder("serve");
    running = [];
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await Promise.all(running.map((one) => one.stop()));
    await folder.remove();
  });

  function config(keys: unknown = issuer.jwks, store = "file:sub/authority.json", more: object = {}): Config {
    return parseConfig(
      JSON.stringify({
        trustDomain: "cluster.local",
        authority: { store },
        issuers: [{ issuer: issuer.issuer, audiences: ["signet-ca"], keys }],
        ...more,
      }),
      "ca.jsonc",
    );
  }
  const logger = makeLogger();
  async function start(options: Partial<ServeOptions> = {}): Promise<Running> {
    const one = await serve({
      config: config(),
      source: "ca.jsonc",
      folder: folder.path,
      host: "127.0.0.1",
      port: 0,
      tls: undefined,
      logger,
      ...options,
    });
    running.push(one);
    return one;
  }
  const modeOf = async (path: string) => (await stat(join(folder.path, path))).mode & 0o777;

  test("the first start makes an authority: two new files that only their owner reads", async () => {
    const { url } = await start();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await modeOf("sub/authority.json")).toBe(0o600);
    expect(await modeOf("sub/authority.root-key.pem")).toBe(0o600);
    expect(await modeOf("sub")).toBe(0o700);
    const text = await readFile(join(folder.path, "sub/authority.json"), "utf8");
    const [active] = parseAuthorityDocument(text).authorities;
    expect(active?.state).toBe("active");
    // The root's key is in its own file alone.
    const rootKey = await readFile(join(folder.path, "sub/authority.root-key.pem"), "utf8");
    expect(text).not.toContain(rootKey.split("\n")[1]);
  });

  test("a second start takes the authority that is there", async () => {
    const roots = async (url: string) =>
      ((await (await fetch(`${url}/v1/trust-bundle`)).json()) as { roots: string[] }).roots;
    const first = await roots((await start()).url);
    const second = await roots((await start()).url);
    expect(second).toEqual(first);
  });

  test("the first start makes an authority for each trust domain", async () => {
    const trustDomains = [{ name: "edge.example.com", authority: { store: "file:edge.json" } }];
    const { url } = await start({ config: config(issuer.jwks, "file:own.json", { trustDomains }) });
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({
      trustDomains: [
        { trustDomain: "cluster.local", status: "ready" },
        { trustDomain: "edge.example.com", status: "ready" },
      ],
    });
    for (const path of ["own.json", "own.root-key.pem", "edge.json", "edge.root-key.pem"]) {
      expect(await modeOf(path)).toBe(0o600);
    }
  });

  test("in production a missing authority is refused, and none is made", async () => {
    vi.stubEnv("NODE_ENV", "production");
    await expect(start()).rejects.toMatchObject({ name: "SignetError", code: "authority-unavailable" });
    await expect(stat(join(folder.path, "sub"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("in production one that is there serves", async () => {
    await (await start()).stop();
    running = [];
    vi.stubEnv("NODE_ENV", "production");
    expect((await fetch(`${(await start()).url}/readyz`)).status).toBe(200);
  });

  test("an authority that is broken is not touched: not ready, and it says so", async () => {
    await mkdir(join(folder.path, "sub"));
    await writeFile(join(folder.path, "sub/authority.json"), "{}");
    const { url } = await start();
    const response = await fetch(`${url}/readyz`);
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 503,
      body: { code: "authority-invalid" },
    });
    expect(await readFile(join(folder.path, "sub/authority.json"), "utf8")).toBe("{}");
  });

  test("a root key that is there already is never overwritten, and no authority is made beside it", async () => {
    await mkdir(join(folder.path, "sub"));
    await writeFile(join(folder.path, "sub/authority.root-key.pem"), "precious");
    await expect(start()).rejects.toMatchObject({ code: "authority-unavailable" });
    expect(await readFile(join(folder.path, "sub/authority.root-key.pem"), "utf8")).toBe("precious");
    await expect(stat(join(folder.path, "sub/authority.json"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("an authority from the environment", async () => {
    await (await start()).stop();
    running = [];
    const text = await readFile(join(folder.path, "sub/authority.json"), "utf8");
    vi.stubEnv("SIGNET_TEST_AUTHORITY", text);
    const { url } = await start({ config: config(issuer.jwks, "env:SIGNET_TEST_AUTHORITY") });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    vi.stubEnv("SIGNET_TEST_AUTHORITY", undefined);
    const without = await start({ config: config(issuer.jwks, "env:SIGNET_TEST_AUTHORITY") });
    expect(await (await fetch(`${without.url}/readyz`)).json()).toMatchObject({ code: "authority-unavailable" });
  });

  test.each([
    { rule: "is missing", make: async () => {} },
    { rule: "is not JSON", make: (path: string) => writeFile(path, "keys") },
    { rule: "is no JWK Set", make: (path: string) => writeFile(path, "[]") },
    {
      rule: "holds a symmetric key",
      make: (path: string) => writeFile(path, JSON.stringify({ keys: [{ kty: "oct", k: "AQ" }] })),
    },
    { rule: "is a folder", make: (path: string) => mkdir(path) },
  ])("a JWKS file that $rule is a fault of the configuration", async ({ make }) => {
    await make(join(folder.path, "jwks.json"));
    const error: unknown = await start({ config: config("file:jwks.json") }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "SignetError", code: "config-invalid" });
    expect((error as Error).message).toContain("issuers.0.keys");
  });

  test("an issuer that is down keeps nobody from starting", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { url } = await start({ config: config(`http://127.0.0.1:${port}/jwks`) });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  test("metrics count refusals by their code", async () => {
    const { url } = await start();
    await fetch(`${url}/v1/certificates`, { method: "POST" });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/^signet_ca_certificate_requests_total\{result="token-missing"\} 1$/m);
  });

  test("metrics tell of routes that there are, of authorities and connections, and never what a client wrote", async () => {
    const { url } = await start();
    await fetch(`${url}/v1/trust-bundle?trustDomain=cluster.local`);
    await fetch(`${url}/v1/secret-of-a-client`);
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'signet_ca_http_requests_total{route="/v1/trust-bundle",status="200"} 1',
      'signet_ca_http_requests_total{route="other",status="404"} 1',
      'signet_ca_http_request_duration_seconds_count{route="other"} 1',
      'signet_ca_authority_ready{trust_domain="cluster.local"} 1',
      'signet_ca_authority_sequence{trust_domain="cluster.local"} 1',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).toMatch(/^signet_ca_authority_not_after_timestamp_seconds\{trust_domain="cluster.local"\} \d{10}$/m);
    expect(text).toMatch(/^signet_ca_connections [1-9]/m);
    expect(text).not.toContain("secret-of-a-client");
    // Alone in its own process: what the process holds is told beside what the CA does.
    expect(text).toMatch(/^process_resident_memory_bytes /m);
  });

  test("metrics tell when keys and deny lists were last read", async () => {
    await writeFile(join(folder.path, "jwks.json"), JSON.stringify(issuer.jwks));
    await writeFile(join(folder.path, "deny.json"), JSON.stringify({ podUids: ["a", "b"] }));
    const policy = { default: "allow", denyLists: ["file:deny.json"] };
    const { url } = await start({ config: config("file:jwks.json", undefined, { policy }) });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain(`signet_ca_issuer_keys_loaded_timestamp_seconds{issuer="${issuer.issuer}"} 1`);
    expect(text).toMatch(/^signet_ca_deny_list_loaded_timestamp_seconds\{list="[^"]*deny.json"\} 1/m);
    expect(text).toMatch(/^signet_ca_deny_list_entries\{list="[^"]*deny.json"\} 2$/m);
  });

  test("an authority that cannot be read is not ready in the metrics either", async () => {
    await mkdir(join(folder.path, "sub"));
    await writeFile(join(folder.path, "sub/authority.json"), "{}");
    const { url } = await start();
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/^signet_ca_authority_ready\{trust_domain="cluster.local"\} 0$/m);
  });

  test("with an address of their own, metrics and health are there, and metrics no longer with the API", async () => {
    const { url, adminUrl } = await start({ admin: { host: "127.0.0.1", port: 0 } });
    const statuses = async (base: string | undefined) =>
      Promise.all(
        ["/metrics", "/healthz", "/readyz", "/v1/trust-bundle"].map(
          async (path) => (await fetch(`${base}${path}`)).status,
        ),
      );
    expect(await statuses(adminUrl)).toEqual([200, 200, 200, 404]);
    expect(await statuses(url)).toEqual([404, 200, 200, 200]);
  });

  test.each([{ flag: "--listen" }, { flag: "--admin" }])(
    "a port of $flag that is taken is a fault of the configuration",
    async ({ flag }) => {
      const port = Number(new URL((await start()).url).port);
      const address = { host: "127.0.0.1", port };
      const free = { host: "127.0.0.1", port: 0 };
      const error: unknown = await start(flag === "--admin" ? { admin: address } : { ...address, admin: free }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({
        code: "config-invalid",
        message: `${flag} 127.0.0.1:${port}: something else listens there already`,
      });
    },
  );

  test("a target that makes no URL is answered with a problem", async () => {
    const { url } = await start();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.end("GET / HTTP/1.1\r\nhost: a/b@c\r\nconnection: close\r\n\r\n").setEncoding("utf8");
    const answer = (await socket.toArray()).join("");
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain("application/problem+json");
    expect(answer).toContain("urn:signet:problem:malformed-request");
  });

  test("stop() takes no more requests", async () => {
    const one = await start();
    expect((await fetch(`${one.url}/healthz`)).status).toBe(200);
    await one.stop();
    running = [];
    await expect(fetch(`${one.url}/healthz`)).rejects.toThrow(TypeError);
  });

  test("while it drains it serves on, is not ready, and lets connections go", async () => {
    const one = await start({ admin: { host: "127.0.0.1", port: 0 } });
    const before = await fetch(`${one.url}/healthz`);
    expect(before.headers.get("connection")).toBe("keep-alive");
    running = [];
    const stopped = one.stop({ drainSeconds: 0.5 });
    for (const base of [one.url, one.adminUrl]) {
      const ready = await fetch(`${base}/readyz`);
      expect({ status: ready.status, body: await ready.json() }).toMatchObject({
        status: 503,
        body: { code: "stopping" },
      });
    }
    const bundle = await fetch(`${one.url}/v1/trust-bundle`);
    expect({ status: bundle.status, connection: bundle.headers.get("connection") }).toEqual({
      status: 200,
      connection: "close",
    });
    await stopped;
    await expect(fetch(`${one.url}/healthz`)).rejects.toThrow(TypeError);
    await expect(fetch(`${one.adminUrl}/healthz`)).rejects.toThrow(TypeError);
  });

  describe("https", () => {
    test("with a certificate", async () => {
      const tls = makeServerCertificate(folder.path, "tls");
      const { url } = await start({ tls });
      expect(url).toMatch(/^https:/);
      const ca = await readFile(tls.certificate, "utf8");
      const status = await new Promise((resolve, reject) => {
        get(`${url}/readyz`, { ca, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).once("error", reject);
      });
      expect(status).toBe(200);
    });

    test("under names that the CA certifies itself, which then are no workload's", async () => {
      const rule = { name: "services", effect: "allow", dnsNames: ["{serviceAccount}.{namespace}.svc"] };
      const policy = { default: "allow", rules: [rule] };
      const { url } = await start({
        tls: { dnsNames: ["localhost", "ca.foo.svc"] },
        config: config(issuer.jwks, "file:sub/authority.json", { policy, nodeBinding: "off" }),
      });
      const text = await readFile(join(folder.path, "sub/authority.json"), "utf8");
      const roots = parseAuthorityDocument(text)
        .authorities.map(({ chain }) => chain.at(-1))
        .join("");
      const ask = async (serviceAccount: string) => {
        const token = await issuer.token(makePod("foo", serviceAccount, makeNode("node-1")));
        const response = await fetchTrusting(roots)(`${url.replace("127.0.0.1", "localhost")}/v1/certificates`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
          body: JSON.stringify({ csr: makeCsr() }),
        });
        return response.status;
      };
      expect(await ask("ca")).toBe(403);
      expect(await ask("sleep")).toBe(201);
    });

    test("is a fault of the configuration when the files are no pair", async () => {
      const { certificate } = makeServerCertificate(folder.path, "tls");
      const { key } = makeServerCertificate(folder.path, "other");
      await expect(start({ tls: { certificate, key } })).rejects.toMatchObject({ code: "config-invalid" });
    });
  });
});
