import { tokenIssuers } from "@signet/shared/ca-api";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { caAudience } from "../support/token-issuer.ts";
import { type Bench, platforms, startBench } from "./platforms.ts";

describe.each(platforms)("token issuers on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform);
  });
  afterAll(() => bench?.stop());
  const get = (headers: Record<string, string> = {}) => bench.fetch("/v1/token-issuers", { headers });

  test("what tokens are verified with, for anybody", async () => {
    const response = await get();
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("public, max-age=60");
    const { issuers } = v.parse(tokenIssuers, await response.json());
    expect(issuers).toEqual([
      {
        issuer: bench.issuer.issuer,
        audiences: [caAudience],
        algorithms: expect.arrayContaining(["RS256", "ES256"]),
        maxTokenLifetimeSeconds: 86_400,
        trustDomain: "cluster.local",
        accountPath: "/ns/{namespace}/sa/{serviceAccount}",
        keys: { keys: bench.issuer.jwks.keys },
      },
    ]);
  });

  test("304 while nothing has changed", async () => {
    const etag = (await get()).headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    const again = await get({ "if-none-match": etag });
    expect({ status: again.status, body: await again.text(), etag: again.headers.get("etag") }).toEqual({
      status: 304,
      body: "",
      etag,
    });
    expect((await get({ "if-none-match": '"other"' })).status).toBe(200);
  });

  test("other methods: 405", async () => {
    const response = await bench.fetch("/v1/token-issuers", { method: "POST" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  });
});
