import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { compose, type Platform } from "../compose.ts";
import { parseConfig } from "../config.ts";
import { webCrypto } from "../webcrypto.ts";

const parse = (rateLimits: unknown) =>
  parseConfig(
    JSON.stringify({
      trustDomain: "cluster.local",
      authority: { store: "env:A" },
      issuers: [{ issuer: "https://a", audiences: ["signet-ca"], keys: "discovery" }],
      rateLimits,
    }),
    "ca.jsonc",
  );
const platform = (openRateLimiter?: Platform["openRateLimiter"]): Platform => ({
  clock: () => 1_000,
  setTimer: () => () => {},
  fetch: async () => new Response("{}", { status: 500 }),
  logger: makeLogger(),
  crypto: webCrypto,
  open: () => ({ read: () => "" }),
  clusterIssuer: undefined,
  ...(openRateLimiter && { openRateLimiter }),
});

describe("rate limits in the configuration", () => {
  test("are none unless said, and each by itself", () => {
    expect(parse(undefined).rateLimits).toEqual({});
    const perNode = { certificates: 300, per: "1m" };
    expect(parse({ perNode }).rateLimits).toEqual({ perNode: { certificates: 300, per: 60 } });
    const { limits } = compose(parse({ perNode }), "ca.jsonc", platform());
    expect(limits).toMatchObject({ perNode: { admit: expect.any(Function) }, perIssuer: undefined });
  });

  test.each<[string, unknown, string]>([
    ["no number", { perNode: { per: "1m" } }, "rateLimits.perNode.certificates"],
    ["zero", { perNode: { certificates: 0, per: "1m" } }, "rateLimits.perNode.certificates"],
    ["part of one", { perNode: { certificates: 1.5, per: "1m" } }, "rateLimits.perNode.certificates"],
    ["no time", { perIssuer: { certificates: 1 } }, "rateLimits.perIssuer.per"],
    ["a time that is none", { perIssuer: { certificates: 1, per: 60 } }, "rateLimits.perIssuer.per"],
    ["a time that is too long", { perIssuer: { certificates: 1, per: "2h" } }, "rateLimits.perIssuer.per"],
    ["an unknown member", { perPod: { certificates: 1, per: "1m" } }, "rateLimits.perPod"],
    ["a binding's name that is none", { perNode: { certificates: 1, per: "1m", binding: "a b" } }, "binding"],
  ])("refuse %s, and name the member", (_rule, rateLimits, member) => {
    expect(() => parse(rateLimits)).toThrow(expect.objectContaining({ message: expect.stringContaining(member) }));
  });

  test("count by the platform's binding that they name, and are a fault where there is none", async () => {
    const config = parse({ perNode: { certificates: 5, per: "1m", binding: "NODES" } });
    const opened: unknown[] = [];
    const limiter = { admit: () => 7 };
    const { limits } = compose(
      config,
      "ca.jsonc",
      platform((...asked) => {
        opened.push(asked);
        return limiter;
      }),
    );
    expect(limits.perNode).toBe(limiter);
    expect(opened).toEqual([["NODES", { certificates: 5, perSeconds: 60 }]]);
    const fault = expect.objectContaining({
      message: expect.stringContaining('rateLimits.perNode.binding: there is no rate-limit binding "NODES"'),
    });
    expect(() => compose(config, "ca.jsonc", platform())).toThrow(fault);
    expect(() =>
      compose(
        config,
        "ca.jsonc",
        platform(() => undefined),
      ),
    ).toThrow(fault);
  });
});
