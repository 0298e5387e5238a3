import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { JwkSet } from "./jwk-set.ts";
import { fixedKeys, LoadedKeys } from "./key-source.ts";

const unavailable = expect.objectContaining({ name: "SignetError", code: "issuer-unavailable" });
const jwk = (kid: string) => ({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  kid,
});
const [first, second] = [jwk("first"), jwk("second")];

/** Keys that are loaded from `place.answer`, under a clock that only the test moves. */
function bench(answer: unknown) {
  const place = { answer, loads: 0, now: 1_000 };
  const logger = makeLogger();
  const keys = new LoadedKeys({
    issuer: "https://issuer",
    clock: () => place.now,
    logger,
    load: async () => {
      place.loads++;
      if (place.answer instanceof Error) throw place.answer;
      return place.answer;
    },
  });
  const has = async (kid: string) => (await keys.find(kid, "ES256")) !== undefined;
  return { place, keys, has, logger };
}

describe("keys that are loaded", () => {
  test("are loaded on first use and kept", async () => {
    const { place, has } = bench({ keys: [first] });
    expect(place.loads).toBe(0);
    expect(await has("first")).toBe(true);
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(1);
  });

  test("warm() loads them before", async () => {
    const { place, keys, has } = bench({ keys: [first] });
    await keys.warm();
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(1);
  });

  test("an unknown kid is looked for once in a cooldown of 30 s", async () => {
    const { place, has } = bench({ keys: [first] });
    expect(await has("first")).toBe(true);
    place.answer = { keys: [first, second] };
    place.now += 30;
    expect(await has("second")).toBe(false);
    expect(place.loads).toBe(1);
    place.now += 0.001;
    expect(await has("second")).toBe(true);
    expect(place.loads).toBe(2);
    for (let n = 0; n < 5; n++) expect(await has("third")).toBe(false);
    expect(place.loads).toBe(2);
  });

  test("a known kid is found in a cooldown and asks for nothing after it", async () => {
    const { place, has } = bench({ keys: [first] });
    await has("first");
    place.now += 600;
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(1);
  });

  test("after ten minutes they are loaded again; a key that is gone verifies no more", async () => {
    const { place, has } = bench({ keys: [first] });
    await has("first");
    place.answer = { keys: [second] };
    place.now += 600.001;
    expect(await has("first")).toBe(false);
    expect(await has("second")).toBe(true);
    expect(place.loads).toBe(2);
  });

  test.each([
    { rule: "the place cannot be read", answer: new TypeError("connection refused") },
    { rule: "the document is no JWK Set", answer: { keys: "none" } },
    { rule: "the document holds a private key", answer: { keys: [{ ...first, d: "AQ" }] } },
    { rule: "the document is empty", answer: { keys: [] } },
  ])("old ones go on serving while $rule, asked for again once in a cooldown", async ({ answer }) => {
    const { place, keys, has, logger } = bench({ keys: [first] });
    await has("first");
    place.answer = answer;
    place.now += 700;
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(2);
    place.now += 30;
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(2);
    place.now += 1;
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(3);
    expect(keys.generation).toBe(1);
    expect(logger.lines.at(-1)).toMatchObject({ level: "warn", event: "issuer-keys", stale: true });
    place.answer = { keys: [second] };
    place.now += 31;
    expect(await has("second")).toBe(true);
  });

  test("without any ever loaded the issuer is unavailable, and comes back", async () => {
    const { place, keys, has, logger } = bench(new TypeError("connection refused"));
    await expect(keys.warm()).rejects.toEqual(unavailable);
    await expect(has("first")).rejects.toEqual(unavailable);
    await expect(has("first")).rejects.toMatchObject({ retryAfterSeconds: 5 });
    expect(keys.generation).toBe(0);
    expect(logger.lines.at(-1)).toMatchObject({ level: "warn", stale: false });
    place.answer = { keys: [first] };
    expect(await has("first")).toBe(true);
  });

  test("the generation grows when the document changes, and only then", async () => {
    const { place, keys, has } = bench({ keys: [first] });
    expect(keys.generation).toBe(0);
    await has("first");
    expect(keys.generation).toBe(1);
    place.now += 601;
    await has("first");
    expect({ loads: place.loads, generation: keys.generation }).toEqual({ loads: 2, generation: 1 });
    place.answer = { keys: [first, second] };
    place.now += 601;
    await has("first");
    expect({ loads: place.loads, generation: keys.generation }).toEqual({ loads: 3, generation: 2 });
  });
});

test("keys of the configuration never change", async () => {
  const keys = fixedKeys(JwkSet.parse({ keys: [first] }));
  await keys.warm();
  expect(await keys.find("first", "ES256")).toBeDefined();
  expect(await keys.find("second", "ES256")).toBeUndefined();
  expect(keys.generation).toBe(0);
});
