import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { JwkSet } from "./jwk-set.ts";
import { fixedKeys, LoadedKeys, type LoadedKeysOptions } from "./key-source.ts";

const unavailable = expect.objectContaining({ name: "SignetError", code: "issuer-unavailable" });
const jwk = (kid: string) => ({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  kid,
});
const [first, second] = [jwk("first"), jwk("second")];

interface Place {
  answer: unknown;
  loads: number;
  now: number;
  /** What a load waits for. */
  gate: Promise<void> | undefined;
  maxAge: number | undefined;
}

/** Lets loads wait; gives what lets them go on. */
function closeGate(place: Place): () => void {
  let open = () => {};
  place.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

/** Keys that are loaded from `place.answer`, under a clock that only the test moves. */
function bench(answer: unknown, options: Pick<LoadedKeysOptions, "waitUntil"> = {}) {
  const place: Place = { answer, loads: 0, now: 1_000, gate: undefined, maxAge: undefined };
  const logger = makeLogger();
  const keys = new LoadedKeys({
    issuer: "https://issuer",
    clock: () => place.now,
    logger,
    load: async () => {
      place.loads++;
      await place.gate;
      if (place.answer instanceof Error) throw place.answer;
      return { document: place.answer, maxAgeSeconds: place.maxAge };
    },
    ...options,
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

  test("after ten minutes they are read again while they serve; a key that is gone verifies no more", async () => {
    const work: Promise<unknown>[] = [];
    const { place, keys, has } = bench({ keys: [first] }, { waitUntil: (more) => work.push(more) });
    await has("first");
    place.answer = { keys: [second] };
    place.now += 600.001;
    expect(await has("first")).toBe(true);
    await Promise.all(work);
    expect(await has("first")).toBe(false);
    expect(await has("second")).toBe(true);
    expect({ loads: place.loads, generation: keys.generation }).toEqual({ loads: 2, generation: 2 });
    // A failure there disturbs nobody.
    place.answer = new TypeError("connection refused");
    place.now += 601;
    expect(await has("second")).toBe(true);
    await Promise.all(work);
    expect(work).toHaveLength(3);
  });

  test("they are read again after the clock was set back: a withdrawn key must not last until it is there again", async () => {
    const { place, has } = bench({ keys: [first] });
    expect(await has("first")).toBe(true);
    place.answer = { keys: [second] };
    place.now -= 86_400;
    expect(await has("first")).toBe(false);
    expect(await has("second")).toBe(true);
    expect(place.loads).toBe(2);
    const never = bench(new TypeError("connection refused"));
    await expect(never.has("first")).rejects.toEqual(unavailable);
    never.place.answer = { keys: [first] };
    never.place.now -= 86_400;
    expect(await never.has("first")).toBe(true);
  });

  test("after twenty minutes without a request the first waits for newer ones", async () => {
    const { place, has } = bench({ keys: [first] });
    await has("first");
    place.answer = { keys: [second] };
    place.now += 1_200.001;
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

  test("without any ever loaded the issuer is unavailable, asked once in 5 s, and comes back", async () => {
    const { place, keys, has, logger } = bench(new TypeError("connection refused"));
    await expect(keys.warm()).rejects.toEqual(unavailable);
    expect(keys).toMatchObject({ generation: 0, loadedAt: undefined });
    expect(logger.lines.at(-1)).toMatchObject({ level: "warn", stale: false });
    place.answer = { keys: [first] };
    place.now += 2.5;
    for (let n = 0; n < 5; n++) await expect(has("first")).rejects.toMatchObject({ retryAfterSeconds: 3 });
    await expect(keys.published()).rejects.toEqual(unavailable);
    expect(place.loads).toBe(1);
    place.now += 2.5;
    expect(await has("first")).toBe(true);
    expect(keys).toMatchObject({ generation: 1, loadedAt: 1_005 });
  });

  test("many requests at once read the first keys once, and wait for them", async () => {
    const { place, has } = bench({ keys: [first] });
    const open = closeGate(place);
    const all = Promise.all(Array.from({ length: 100 }, () => has("first")));
    open();
    expect(new Set(await all)).toEqual(new Set([true]));
    expect(place.loads).toBe(1);
  });

  test("many requests at once that cannot have the first keys ask once", async () => {
    const { place, has } = bench(new TypeError("connection refused"));
    const open = closeGate(place);
    const all = Promise.allSettled(Array.from({ length: 100 }, () => has("first")));
    open();
    expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect(place.loads).toBe(1);
  });

  test("while they are read again, known kids are served at once and unknown ones wait: they may be new", async () => {
    const { place, has } = bench({ keys: [first] });
    await has("first");
    place.now += 601;
    const open = closeGate(place);
    place.answer = { keys: [first, second] };
    expect(await has("first")).toBe(true);
    const unknown = Promise.all([has("second"), has("third")]);
    open();
    expect(await unknown).toEqual([true, false]);
    expect(place.loads).toBe(2);
  });

  describe("where no request may wait for another's", () => {
    const alone = { waitUntil: () => {} };

    test("eight read the first keys, and who comes then is told to come again", async () => {
      const { place, has } = bench({ keys: [first] }, alone);
      const open = closeGate(place);
      const reading = Promise.all(Array.from({ length: 8 }, () => has("first")));
      const others = await Promise.allSettled(Array.from({ length: 100 }, () => has("first")));
      expect(new Set(others.map(({ status }) => status))).toEqual(new Set(["rejected"]));
      expect(others[0]).toMatchObject({ reason: { code: "issuer-unavailable", retryAfterSeconds: 1 } });
      open();
      expect(new Set(await reading)).toEqual(new Set([true]));
      expect(place.loads).toBe(8);
    });

    test("unknown kids are told to come again while keys are read", async () => {
      const { place, has } = bench({ keys: [first] }, alone);
      await has("first");
      place.now += 601;
      const open = closeGate(place);
      place.answer = { keys: [first, second] };
      expect(await has("first")).toBe(true);
      await expect(has("second")).rejects.toMatchObject({ code: "issuer-unavailable", retryAfterSeconds: 1 });
      open();
      await place.gate;
      expect(await has("second")).toBe(true);
      expect(place.loads).toBe(2);
    });
  });

  test("no load ends with its request: who begins one and hangs up, again and again, keeps no newer keys away", async () => {
    const work: Promise<unknown>[] = [];
    const { place, has } = bench({ keys: [first] }, { waitUntil: (more) => work.push(more) });
    await has("first");
    expect(work).toHaveLength(1);
    place.now += 31;
    await has("unknown");
    expect(work).toHaveLength(2);
    place.now += 1_201;
    await has("first");
    expect(work).toHaveLength(3);
    const failing = bench(new TypeError("connection refused"), { waitUntil: (more) => work.push(more) });
    await expect(failing.has("first")).rejects.toEqual(unavailable);
    expect(work).toHaveLength(4);
    // One that fails is told to the request alone.
    await Promise.all(work);
  });

  test("a load that never ends, as where its request is gone, is given up after 15 s", async () => {
    const { place, has } = bench({ keys: [first] });
    place.gate = new Promise(() => {});
    void has("first");
    place.gate = undefined;
    place.now += 14.999;
    void has("first");
    expect(place.loads).toBe(1);
    place.now += 0.001;
    expect(await has("first")).toBe(true);
    expect(place.loads).toBe(2);
  });

  test.each([
    { says: undefined, seconds: 600 },
    { says: 300, seconds: 300 },
    { says: 86_400, seconds: 600 },
    { says: 0, seconds: 60 },
  ])("of a source that says max-age $says they are read again after $seconds s", async ({ says, seconds }) => {
    const { place, has } = bench({ keys: [first] });
    place.maxAge = says;
    await has("first");
    place.now += seconds;
    await has("first");
    expect(place.loads).toBe(1);
    place.now += 0.001;
    await has("first");
    expect(place.loads).toBe(2);
  });

  test("warm() asks for nothing where they are fresh", async () => {
    const { place, keys } = bench({ keys: [first] });
    await keys.warm();
    await keys.warm();
    expect(place.loads).toBe(1);
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
