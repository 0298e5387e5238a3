import { trustBundle } from "@signet/shared/ca-api";
import { parseCertificate } from "@signet/shared/certificate";
import { decodePem, decodeSinglePem } from "@signet/shared/pem";
import { importJWK } from "jose";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Bench, platforms, startBench } from "./platforms.ts";

describe.each(platforms)("trust bundle on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform);
  });
  afterAll(() => bench?.stop());
  const get = (path: string, headers: Record<string, string> = {}) => bench.fetch(path, { headers });

  test("JSON: the roots that a certificate's answer holds too", async () => {
    const response = await get("/v1/trust-bundle", { accept: "application/json" });
    expect(response.status).toBe(200);
    const bundle = v.parse(trustBundle, await response.json());
    expect(bundle).toMatchObject({ trustDomain: "cluster.local", sequence: 1, refreshHintSeconds: 300 });
    const { trustBundle: issued } = (await (await ask(bench)).json()) as { trustBundle: unknown };
    expect(issued).toEqual(bundle);
    const [root] = bundle.roots.map((pem) => parseCertificate(decodeSinglePem(pem, ["CERTIFICATE"])));
    expect(root?.issuer).toEqual(root?.subject);
  });

  test("PEM: the same roots", async () => {
    const json = v.parse(trustBundle, await (await get("/v1/trust-bundle")).json());
    const response = await get("/v1/trust-bundle", { accept: "application/x-pem-file" });
    expect(response.headers.get("content-type")).toBe("application/x-pem-file");
    const text = await response.text();
    expect(text).toBe(json.roots.join(""));
    expect(decodePem(text).map(({ label }) => label)).toEqual(["CERTIFICATE"]);
  });

  test("an etag of its own for each form; 304 while nothing changed", async () => {
    const json = await get("/v1/trust-bundle");
    const pem = await get("/v1/trust-bundle", { accept: "application/x-pem-file" });
    const etag = json.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[^"]+"$/);
    expect(pem.headers.get("etag")).not.toBe(etag);
    expect(json.headers.get("cache-control")).toMatch(/max-age=\d+/);
    const again = await get("/v1/trust-bundle", { "if-none-match": `"other", W/${etag}` });
    expect({ status: again.status, body: await again.text() }).toEqual({ status: 304, body: "" });
    expect((await get("/v1/trust-bundle", { "if-none-match": '"other"' })).status).toBe(200);
  });

  test("the SPIFFE bundle keeps the rules B1 to B4", async () => {
    const response = await get("/.well-known/spiffe-bundle");
    expect(response.headers.get("content-type")).toBe("application/json");
    const bundle = (await response.json()) as {
      keys: Record<string, unknown>[];
      spiffe_sequence: number;
      spiffe_refresh_hint: number;
    };
    expect(bundle.spiffe_sequence).toBe(1);
    expect(bundle.spiffe_refresh_hint).toBe(300);
    expect(bundle.keys).toHaveLength(1);
    const [key = {}] = bundle.keys;
    expect(key).toMatchObject({ use: "x509-svid", kty: "EC" });
    expect(key).not.toHaveProperty("kid");
    const [x5c, ...more] = key.x5c as string[];
    expect(more).toEqual([]);
    const root = parseCertificate(Buffer.from(x5c ?? "", "base64"));
    const imported = (await importJWK(key, "ES256")) as CryptoKey;
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", imported));
    expect(Buffer.from(spki)).toEqual(Buffer.from(root.publicKey));
  });

  test("HEAD answers as GET without a body", async () => {
    const response = await bench.fetch("/v1/trust-bundle", { method: "HEAD" });
    expect({ status: response.status, body: await response.text() }).toEqual({ status: 200, body: "" });
  });

  test("health and readiness", async () => {
    expect((await get("/healthz")).status).toBe(200);
    const ready = await get("/readyz");
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: "ready", sequence: 1 });
  });
});
