import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { get } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeServerCertificate } from "../../../../test/support/server-certificate.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
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

  function config(keys: unknown = issuer.jwks, store = "file:sub/authority.json"): Config {
    return parseConfig(
      JSON.stringify({
        trustDomain: "cluster.local",
        authority: { store },
        issuers: [{ issuer: issuer.issuer, audiences: ["signet-ca"], keys }],
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

  test("a port that is taken is a fault of the configuration", async () => {
    const { url } = await start();
    await expect(start({ port: Number(new URL(url).port) })).rejects.toMatchObject({ code: "config-invalid" });
  });

  test("stop() waits for a request under way, then takes no more", async () => {
    const one = await start();
    expect((await fetch(`${one.url}/healthz`)).status).toBe(200);
    await one.stop();
    running = [];
    await expect(fetch(`${one.url}/healthz`)).rejects.toThrow(TypeError);
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

    test("is a fault of the configuration when the files are no pair", async () => {
      const { certificate } = makeServerCertificate(folder.path, "tls");
      const { key } = makeServerCertificate(folder.path, "other");
      await expect(start({ tls: { certificate, key } })).rejects.toMatchObject({ code: "config-invalid" });
    });
  });
});
