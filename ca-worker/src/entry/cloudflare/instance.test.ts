import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import type { Platform } from "../../compose.ts";
import { webCrypto } from "../../webcrypto.ts";
import { Instances } from "./instance.ts";

const issuer = await TokenIssuer.create();
const document = (more: object = {}) => ({
  trustDomain: "cluster.local",
  authority: { store: "env:SIGNET_AUTHORITY" },
  issuers: [{ issuer: issuer.issuer, audiences: ["signet-ca"], keys: issuer.jwks }],
  ...more,
});

/** A Worker whose KV holds `kv.text`, or fails where that is an error. */
function bench(SIGNET_CONFIG: unknown, kv: { text: string | SignetError; reads: number } = { text: "", reads: 0 }) {
  const logger = makeLogger();
  const time = { now: 1_000 };
  const kept: Promise<unknown>[] = [];
  const platform: Platform = {
    clock: () => time.now,
    setTimer: () => () => {},
    fetch: async () => new Response(null, { status: 500 }),
    logger,
    crypto: webCrypto,
    open(location) {
      if (location === "env:SIGNET_AUTHORITY") return { read: () => "" };
      if (location !== "kv:KV/ca.jsonc") return undefined;
      return {
        async read() {
          kv.reads++;
          if (kv.text instanceof SignetError) throw kv.text;
          return kv.text;
        },
      };
    },
    clusterIssuer: undefined,
    waitUntil: (work) => kept.push(work),
  };
  const instances = new Instances({ SIGNET_CONFIG }, platform);
  return { current: async () => instances.current(), logger, time, kv, kept };
}

describe("the configuration of a Worker", () => {
  test.each([
    { form: "a text", value: JSON.stringify(document()) },
    { form: "JSON", value: document() },
  ])("is $form in SIGNET_CONFIG, and is read once", async ({ value }) => {
    const { current } = bench(value);
    expect(await current()).toBe(await current());
  });

  test.each([
    { fault: "nothing is set", value: undefined, tells: "the variable SIGNET_CONFIG is missing" },
    { fault: "it is not valid", value: document({ extra: 1 }), tells: "extra: unknown key" },
    { fault: "it is no document", value: "{", tells: "SIGNET_CONFIG is not a valid configuration" },
    { fault: "its namespace is not bound", value: "kv:OTHER/ca.jsonc", tells: '"kv:OTHER/ca.jsonc" is not bound' },
  ])("serves nobody where $fault", async ({ value, tells }) => {
    const error = expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(tells) });
    await expect(bench(value).current()).rejects.toEqual(error);
  });
});

describe("a configuration in KV", () => {
  const down = new SignetError("source-unavailable", "kv:KV/ca.jsonc cannot be read");

  test("is asked for by each request until there is one", async () => {
    const { current, kv } = bench("kv:KV/ca.jsonc", { text: down, reads: 0 });
    await expect(current()).rejects.toMatchObject({ code: "source-unavailable" });
    kv.text = JSON.stringify(document());
    await current();
    expect(kv.reads).toBe(2);
  });

  test("stays when KV is down, which is asked again after five seconds rather than by each request", async () => {
    const { current, kv, time, logger } = bench("kv:KV/ca.jsonc", { text: JSON.stringify(document()), reads: 0 });
    const first = await current();
    kv.text = down;
    time.now += 29;
    await current();
    expect(kv.reads).toBe(1);
    time.now += 1;
    for (let n = 0; n < 3; n++) expect(await current()).toBe(first);
    expect(kv.reads).toBe(2);
    time.now += 5;
    await current();
    expect(kv.reads).toBe(3);
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", event: "config", serves: true });
  });

  test("is read by one request at a time; the others go by the one before", async () => {
    const { current, kv, time } = bench("kv:KV/ca.jsonc", { text: JSON.stringify(document()), reads: 0 });
    const first = await current();
    kv.text = JSON.stringify(document({ leaf: { defaultTtl: "2h" } }));
    time.now += 31;
    const [second, meanwhile] = await Promise.all([current(), current()]);
    expect(kv.reads).toBe(2);
    expect(meanwhile).toBe(first);
    expect(second).not.toBe(first);
    expect(await current()).toBe(second);
  });

  test("is read to the end although the request that began it is gone", async () => {
    const { current, time, kv, kept } = bench("kv:KV/ca.jsonc", { text: down, reads: 0 });
    await expect(current()).rejects.toMatchObject({ code: "source-unavailable" });
    expect(kept).toHaveLength(1);
    kv.text = JSON.stringify(document());
    await current();
    time.now += 31;
    await current();
    expect(kept).toHaveLength(3);
    // One that fails is told to the request alone.
    await Promise.all(kept);
  });

  test("that says the same as before makes nothing new", async () => {
    const { current, time } = bench("kv:KV/ca.jsonc", { text: JSON.stringify(document()), reads: 0 });
    const first = await current();
    time.now += 31;
    expect(await current()).toBe(first);
  });
});
