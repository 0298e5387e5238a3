import { afterEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import type { Script } from "../support/scripted-answers.ts";
import { CaBench, type CaBenchOptions, codesOf } from "./ca-bench.ts";
import { makePod } from "./world.ts";

let bench: CaBench;
const start = async (options: CaBenchOptions = { urls: 2 }) => {
  bench = await CaBench.start(options);
};
afterEach(() => bench.stop());

const states = () => bench.client.endpoints.map(({ state }) => state);
const asked = () => bench.cas.map((ca) => ca.requests.length);

test("the preferred URL is asked while it is well, the others not at all", async () => {
  await start({ urls: 3 });
  expect(states()).toEqual(["untried", "untried", "untried"]);
  for (let n = 0; n < 5; n++) await bench.get(makePod());
  expect(asked()).toEqual([5, 0, 0]);
  expect(states()).toEqual(["healthy", "untried", "untried"]);
  const [preferred] = bench.client.endpoints;
  expect(preferred?.lastSuccessAt).toBeCloseTo(bench.clock.now(), 0);
  expect(preferred).not.toHaveProperty("lastError");
});

describe("the next URL answers at once when the preferred", () => {
  test.each<{ how: string; script: Script | "down"; code: string }>([
    { how: "is down", script: "down", code: "ca-unreachable" },
    { how: "is silent", script: "hang", code: "ca-unreachable" },
    { how: "is busy", script: { status: 429 }, code: "ca-busy" },
    { how: "cannot sign", script: { status: 503 }, code: "ca-busy" },
    { how: "is broken", script: { status: 500, body: "<html>" }, code: "ca-busy" },
    { how: "is something else", script: { status: 404, body: "<html>" }, code: "ca-answer-invalid" },
    { how: "redirects", script: { status: 302 }, code: "ca-answer-invalid" },
    { how: "says no JSON", script: { wrong: "not-json" }, code: "ca-answer-invalid" },
    { how: "says too much", script: { wrong: "huge" }, code: "ca-answer-invalid" },
    { how: "signs another key", script: { wrong: "key" }, code: "ca-answer-invalid" },
    { how: "signs with a stranger's key", script: { wrong: "chain" }, code: "ca-answer-invalid" },
    { how: "signs what has expired", script: { wrong: "expired" }, code: "ca-answer-invalid" },
    { how: "signs for longer than it may", script: { wrong: "long-lived" }, code: "ca-answer-invalid" },
    { how: "is another trust domain's", script: { wrong: "other-domain" }, code: "ca-answer-invalid" },
  ])("$how", async ({ script, code }) => {
    await start({ urls: 2, answerMilliseconds: 300 });
    if (script === "down") await bench.ca(0).stop();
    else bench.ca(0).script = script;
    await bench.get(makePod());
    expect(states()).toEqual(["failing", "healthy"]);
    const [preferred] = bench.client.endpoints;
    expect(preferred?.lastError?.code).toBe(code);
    expect(preferred?.retryAt).toBeGreaterThan(bench.clock.now() - 1);
    expect(bench.results(1)).toEqual({ ok: 1 });
    // The next one does not even ask there.
    await bench.get(makePod());
    expect(asked()[1]).toBe(2);
    expect(bench.log.lines.filter(({ message }) => message === "the CA is set aside")).toHaveLength(1);
  });
});

test("all of a crowd is served when the preferred URL goes down under it", async () => {
  await start();
  await bench.ca(0).stop();
  expect(codesOf(await bench.getMany(200))).toEqual(Array(200).fill("issued"));
  // What was under way already, and a few trials.
  expect(Object.values(bench.results(0)).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(12);
});

test("the preferred URL is asked again once it is well, without a job that waits for it", async () => {
  await start({ urls: 2, answerMilliseconds: 300 });
  bench.ca(0).script = "hang";
  await bench.get(makePod());
  bench.ca(0).script = "issue";
  bench.clock.advance(10);
  await bench.get(makePod());
  // That one went to the second; beside it the first was tried with a question for the bundle.
  expect(asked()).toEqual([1, 2]);
  await until("the preferred URL to be well", () => states()[0] === "healthy", { every: 5 });
  expect(bench.ca(0).bundleRequests).toBe(1);
  await bench.get(makePod());
  expect(asked()).toEqual([2, 2]);
});

test("a URL that answers but cannot sign is tried less and less all the same", async () => {
  await start();
  bench.ca(0).script = { status: 503 };
  const waits: number[] = [];
  for (let n = 0; n < 5; n++) {
    await bench.get(makePod());
    const [endpoint] = bench.client.endpoints;
    waits.push((endpoint?.retryAt ?? 0) - (endpoint?.lastFailureAt ?? 0));
    bench.clock.advance(60);
    // Goes to the second; the first is found to answer beside it.
    await bench.get(makePod());
    await until("the first URL to be open", () => states()[0] === "healthy", { every: 5 });
  }
  expect(waits.map((wait) => Math.round(wait * 10) / 10)).toEqual([0.1, 0.2, 0.4, 0.8, 1.6]);
});

test("a URL that stays down is tried with longer and longer pauses", async () => {
  await start({ urls: 1 });
  await bench.ca(0).stop();
  const waits: number[] = [];
  for (let n = 0; n < 12; n++) {
    await expect(bench.get(makePod())).rejects.toMatchObject({ code: "ca-unreachable" });
    const [endpoint] = bench.client.endpoints;
    waits.push((endpoint?.retryAt ?? 0) - (endpoint?.lastFailureAt ?? 0));
    bench.clock.advance(60);
  }
  // Full jitter; "chance" is always a half here.
  expect(waits[0]).toBeCloseTo(0.1);
  expect(waits[3]).toBeCloseTo(0.8);
  expect(waits.at(-1)).toBeCloseTo(15);
});

test("a URL that asks for a pause gets it", async () => {
  await start({ urls: 1 });
  bench.ca(0).script = { status: 503, retryAfter: 20 };
  await expect(bench.get(makePod())).rejects.toMatchObject({ code: "ca-busy", retryAfterSeconds: 20 });
  const [endpoint] = bench.client.endpoints;
  expect((endpoint?.retryAt ?? 0) - (endpoint?.lastFailureAt ?? 0)).toBeCloseTo(20.1);
  bench.ca(0).script = "issue";
  const waiting = bench.get(makePod());
  bench.clock.advance(19);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked()).toEqual([1]);
  bench.clock.advance(2);
  await waiting;
});

test("a CA that does not serve the agent's trust domain is told of by that name", async () => {
  await start({ trustDomain: "elsewhere.test" });
  await expect(bench.client.trustBundle(undefined, false, () => {})).rejects.toMatchObject({
    code: "ca-answer-invalid",
    message: expect.stringContaining("does not serve the trust domain cluster.local: hold --trust-domain"),
  });
});

test("while it is set aside, one request finds out for all, and all who wait learn why there is nothing", async () => {
  await start({ urls: 1 });
  bench.ca(0).script = { status: 503 };
  await bench.getMany(4);
  const before = asked()[0] ?? 0;
  const crowd = bench.getMany(500);
  bench.clock.advance(1);
  expect(codesOf(await crowd)).toEqual(Array(500).fill("ca-busy"));
  // One batch at most.
  expect((asked()[0] ?? 0) - before).toBeLessThanOrEqual(64);
});

test("a wall clock that is set back does not keep a URL aside", async () => {
  await start({ urls: 1 });
  bench.ca(0).script = { status: 503 };
  await expect(bench.get(makePod())).rejects.toMatchObject({ code: "ca-busy" });
  bench.ca(0).script = "issue";
  bench.clock.step(-200);
  await bench.get(makePod());
});

describe("a refusal is an answer", () => {
  const refused: Script = { status: 401, code: "token-not-accepted" };

  test("to a new token it is the last word, whatever another URL would say", async () => {
    await start();
    bench.ca(0).script = refused;
    await expect(bench.get(makePod())).rejects.toMatchObject({ code: "token-not-accepted" });
    expect(asked()).toEqual([1, 0]);
    expect(states()).toEqual(["healthy", "untried"]);
  });

  test("to a renewal a second URL is asked: the first may not know the issuer's new key yet", async () => {
    await start();
    bench.ca(0).script = refused;
    await bench.get(makePod(), { expiresAt: bench.clock.now() + 600 });
    expect(asked()).toEqual([1, 1]);
    expect(states()).toEqual(["healthy", "healthy"]);
    expect(bench.log.lines.map(({ message }) => message)).toContain(
      "the CA accepts here a token that it refused at another URL",
    );
  });

  test("of two URLs to a renewal is the last word, though there be a third", async () => {
    await start({ urls: 3 });
    for (const ca of bench.cas.slice(0, 2)) ca.script = refused;
    await expect(bench.get(makePod(), { expiresAt: bench.clock.now() + 600 })).rejects.toMatchObject({
      code: "token-not-accepted",
    });
    expect(asked()).toEqual([1, 1, 0]);
  });

  test("stays one when the second URL cannot be asked", async () => {
    await start();
    bench.ca(0).script = refused;
    await bench.ca(1).stop();
    await expect(bench.get(makePod(), { expiresAt: bench.clock.now() + 600 })).rejects.toMatchObject({
      code: "token-not-accepted",
    });
  });

  test("of what the agent may ask for is final for renewals too", async () => {
    await start();
    bench.ca(0).script = { status: 403, code: "identity-not-entitled" };
    await expect(bench.get(makePod(), { expiresAt: bench.clock.now() + 600 })).rejects.toMatchObject({
      code: "identity-not-entitled",
    });
    expect(asked()).toEqual([1, 0]);
  });
});

test("an issuer whose keys cannot be had fails its own tokens only, here; another URL is asked", async () => {
  await start();
  bench.ca(0).script = { status: 503, code: "issuer-unavailable" };
  await bench.get(makePod());
  expect(asked()).toEqual([1, 1]);
  expect(states()).toEqual(["healthy", "healthy"]);
});

test("a certificate of another identity is not used, and the CA not set aside: a pod may have chosen its token", async () => {
  await start({ urls: 1 });
  bench.ca(0).script = { wrong: "id" };
  await expect(bench.get(makePod())).rejects.toMatchObject({ code: "ca-identity-differs" });
  expect(states()).toEqual(["healthy"]);
});

test("another CA behind the second URL is never believed", async () => {
  await start({ urls: 2, stranger: true });
  await bench.get(makePod());
  await bench.ca(0).stop();
  const pod = makePod();
  await expect(bench.get(pod, { token: bench.ca(1).token(pod) })).rejects.toMatchObject({
    code: "ca-answer-invalid",
    message: expect.stringContaining("other roots than before under the same sequence"),
  });
  expect(states()).toEqual(["failing", "failing"]);
});

test("renewals go before first certificates, those that run out first before the others", async () => {
  await start({ urls: 1, answerMilliseconds: 2_000 });
  const { requests } = bench.ca(0);
  bench.ca(0).script = { status: 503 };
  await expect(bench.get(makePod())).rejects.toThrow();
  bench.ca(0).script = "issue";
  bench.ca(0).batchScript = "unsupported";
  const now = bench.clock.now();
  const tokens = new Map<string, string>();
  const ask = (name: string, expiresAt?: number) => {
    const pod = makePod();
    const token = bench.ca(0).token(pod);
    tokens.set(token, name);
    return bench.get(pod, { token, ...(expiresAt !== undefined && { expiresAt }) });
  };
  const all = [
    ask("first"),
    ask("calm", now + 3_000),
    ask("urgent", now + 30),
    ask("second"),
    ask("pressing", now + 300),
  ];
  bench.clock.advance(1);
  await Promise.all(all);
  const order = requests.flatMap(({ token }) => tokens.get(token) ?? []);
  expect(order).toEqual(["urgent", "pressing", "calm", "first", "second"]);
});

test("repeats wait for the retry budget, and other requests do not wait with them", async () => {
  await start();
  const unlucky = "unlucky";
  for (const ca of bench.cas) {
    ca.scriptFor = (account) => (account === unlucky ? { status: 503, code: "issuer-unavailable" } : undefined);
  }
  // Each is asked for at the second URL too, which is a repeat. Ten are saved up, and ten requests give one more.
  for (let n = 0; n < 11; n++) {
    await expect(bench.get(makePod(unlucky))).rejects.toMatchObject({ code: "issuer-unavailable" });
  }
  expect(bench.metrics.retryBudgetExhausted).toBe(0);
  const held = bench.get(makePod(unlucky));
  await until("the repeat to be held back", () => bench.metrics.retryBudgetExhausted === 1, { every: 5 });
  await bench.get(makePod());
  expect(asked()).toEqual([13, 11]);
  bench.clock.advance(1);
  await expect(held).rejects.toMatchObject({ code: "issuer-unavailable" });
  expect(asked()).toEqual([13, 12]);
});
