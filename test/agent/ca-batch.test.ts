import { afterEach, describe, expect, test } from "vitest";
import type { BatchScript } from "../support/scripted-answers.ts";
import { CaBench, type CaBenchOptions, codesOf } from "./ca-bench.ts";
import { makePod } from "./world.ts";

let bench: CaBench;
const start = async (options: CaBenchOptions = {}) => {
  bench = await CaBench.start(options);
};
afterEach(() => bench.stop());

const all = (count: number, code = "issued") => Array(count).fill(code);

test("one request goes at once, by the route for one", async () => {
  await start();
  await bench.get(makePod());
  expect(bench.ca(0).batches).toEqual([]);
  expect(bench.ca(0).requests).toHaveLength(1);
});

test("many at once go in few requests, and each gets its own certificate", async () => {
  await start();
  const results = await bench.getMany(200);
  expect(codesOf(results)).toEqual(all(200));
  const serials = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.serialNumber] : []));
  expect(new Set(serials).size).toBe(200);
  const { batches, requests } = bench.ca(0);
  expect(requests).toHaveLength(200);
  expect(Math.max(...batches)).toBe(32);
  expect(Object.values(bench.results(0)).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(12);
  expect(bench.metrics.caBatchItems.count).toBe(batches.length);
});

test("all goes over connections that are kept", async () => {
  await start();
  for (let round = 0; round < 5; round++) await bench.getMany(10);
  expect(bench.ca(0).connections).toBeLessThanOrEqual(4);
});

test("tokens that are very long make the batches smaller", async () => {
  await start();
  const pad = "x".repeat(11_000);
  await Promise.all(
    Array.from({ length: 60 }, () => {
      const pod = makePod();
      return bench.get(pod, { token: bench.ca(0).token(pod, { claims: { pad } }) });
    }),
  );
  expect(bench.ca(0).requests).toHaveLength(60);
  expect(Math.max(...bench.ca(0).batches)).toBeLessThanOrEqual(20);
});

describe("a CA whose batches are wrong", () => {
  const wrong: BatchScript[] = ["swap", "drop", "too-many", "duplicate"];

  test.each(wrong)("%s: nobody gets a certificate that is another's", async (batchScript) => {
    await start();
    bench.ca(0).batchScript = batchScript;
    const results = await bench.getMany(20);
    // get() holds each against its own key and identity.
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason.code).toBe("ca-answer-invalid");
    }
    expect(codesOf(results)).toContain("ca-answer-invalid");
    expect(bench.client.endpoints).toMatchObject([{ state: "failing", lastError: { code: "ca-answer-invalid" } }]);
  });

  test.each(wrong)("%s: another URL is asked", async (batchScript) => {
    await start({ urls: 2 });
    bench.ca(0).batchScript = batchScript;
    expect(codesOf(await bench.getMany(20))).toEqual(all(20));
    expect(bench.client.endpoints).toMatchObject([{ state: "failing" }, { state: "healthy" }]);
  });
});

describe("one item", () => {
  test("that is refused spoils no other", async () => {
    await start();
    bench.ca(0).scriptFor = (account) =>
      account === "account-7" ? { status: 403, code: "identity-not-entitled" } : undefined;
    const expected = all(20);
    expected[7] = "identity-not-entitled";
    expect(codesOf(await bench.getMany(20))).toEqual(expected);
    expect(bench.client.endpoints).toMatchObject([{ state: "healthy" }]);
  });

  test("that cannot be answered now says when to come back, and spoils no other", async () => {
    await start();
    bench.ca(0).scriptFor = (account) => (account === "account-7" ? { status: 503, retryAfter: 17 } : undefined);
    const results = await bench.getMany(20);
    const failed = results[7];
    expect(failed?.status === "rejected" && failed.reason).toMatchObject({ code: "ca-busy", retryAfterSeconds: 17 });
    expect(codesOf(results).filter((code) => code === "issued")).toHaveLength(19);
    expect(bench.client.endpoints).toMatchObject([{ state: "healthy" }]);
  });

  test("over the node's rate waits for its own time, and those within it are served", async () => {
    await start();
    // A node of 12 in so long a time: each that is refused is told to come later than the one before.
    bench.ca(0).scriptFor = (account) => {
      const over = Number(account.slice("account-".length)) - 11;
      return over > 0 ? { status: 429, code: "rate-limited", retryAfter: over * 5 } : undefined;
    };
    const results = await bench.getMany(20);
    expect(codesOf(results)).toEqual([...all(12), ...all(8, "ca-busy")]);
    const waits = results.flatMap((one) => (one.status === "rejected" ? [one.reason.retryAfterSeconds] : []));
    expect(waits).toEqual([5, 10, 15, 20, 25, 30, 35, 40]);
    expect(bench.client.endpoints).toMatchObject([{ state: "healthy" }]);
  });

  test("of a batch that is over the rate as a whole: the CA is left alone for the time told, by a renewal too", async () => {
    await start();
    bench.ca(0).script = { status: 429, code: "rate-limited", retryAfter: 30 };
    expect(codesOf(await bench.getMany(20))).toEqual(all(20, "ca-busy"));
    const { length } = bench.ca(0).requests;
    bench.ca(0).script = "issue";
    const waiting = bench.get(makePod(), { expiresAt: bench.clock.now() + 40 });
    bench.clock.advance(29);
    expect(bench.ca(0).requests).toHaveLength(length);
    bench.clock.advance(2);
    await waiting;
    expect(bench.client.endpoints).toMatchObject([{ state: "healthy" }]);
  });

  test("whose certificate is wrong is refused alone; the CA is set aside", async () => {
    await start();
    bench.ca(0).scriptFor = (account) => (account === "account-7" ? { wrong: "key" } : undefined);
    const expected = all(20);
    expected[7] = "ca-answer-invalid";
    expect(codesOf(await bench.getMany(20))).toEqual(expected);
    expect(bench.client.endpoints).toMatchObject([{ state: "failing" }]);
  });

  test("whose certificate names another identity does not set the CA aside: the pod may have chosen its token", async () => {
    await start();
    bench.ca(0).scriptFor = (account) => (account === "account-7" ? { wrong: "id" } : undefined);
    const expected = all(20);
    expected[7] = "ca-identity-differs";
    expect(codesOf(await bench.getMany(20))).toEqual(expected);
    expect(bench.client.endpoints).toMatchObject([{ state: "healthy" }]);
  });
});

describe("whoever takes no batches is asked for one after the other", () => {
  test.each<{ who: string; batchScript: BatchScript }>([
    { who: "an older CA", batchScript: "unsupported" },
    { who: "a CA of another method", batchScript: { status: 405, code: "method-not-allowed" } },
    { who: "a gateway that takes small bodies only", batchScript: { status: 413, body: "<html>" } },
    { who: "a gateway that dislikes something in a token", batchScript: { status: 403, body: "<html>" } },
    { who: "a CA that finds the whole malformed", batchScript: { status: 400, code: "malformed-request" } },
  ])("$who", async ({ batchScript }) => {
    await start();
    bench.ca(0).batchScript = batchScript;
    expect(codesOf(await bench.getMany(40))).toEqual(all(40));
    const tried = bench.ca(0).batches.length;
    expect(codesOf(await bench.getMany(40))).toEqual(all(40));
    expect(bench.ca(0).batches).toHaveLength(tried);
    bench.ca(0).batchScript = "answer";
    bench.clock.advance(601);
    expect(codesOf(await bench.getMany(40))).toEqual(all(40));
    expect(bench.ca(0).batches.length).toBeGreaterThan(tried);
  });
});

test("a refusal of the agent's own token counts for all, and nobody is asked for again", async () => {
  await start();
  bench.ca(0).batchScript = { status: 401, code: "token-not-accepted" };
  const results = codesOf(await bench.getMany(40));
  expect(results.filter((code) => code === "token-not-accepted").length).toBeGreaterThanOrEqual(36);
  expect(bench.ca(0).requests).toHaveLength(40);
});

test("a CA that cannot bear large batches is found out, and given smaller ones for a while", async () => {
  await start();
  const ca = bench.ca(0);
  // As a Worker does that may use 10 ms of CPU for a request.
  ca.batchScript = { status: 503, body: "error code: 1102", above: 5 };
  const crowd = async () => {
    const results = await bench.getMany(80);
    bench.clock.advance(1);
    return codesOf(results);
  };
  for (let n = 0; n < 4; n++) await crowd();
  expect(ca.batches).toEqual(expect.arrayContaining([32, 16, 8, 4]));
  ca.batches.length = 0;
  for (let n = 0; n < 3; n++) expect(await crowd()).toEqual(all(80));
  expect(Math.max(...ca.batches)).toBe(4);
  bench.clock.advance(601);
  await crowd();
  expect(Math.max(...ca.batches)).toBeGreaterThan(5);
});

test("after an outage, which takes all sizes alike, batches are as large as before", async () => {
  await start();
  const ca = bench.ca(0);
  ca.script = { status: 503 };
  for (let n = 0; n < 8; n++) {
    const crowd = bench.getMany(80);
    bench.clock.advance(30);
    await crowd;
  }
  ca.script = "issue";
  bench.clock.advance(30);
  expect(codesOf(await bench.getMany(200))).toEqual(all(200));
  ca.batches.length = 0;
  expect(codesOf(await bench.getMany(200))).toEqual(all(200));
  expect(Math.max(...ca.batches)).toBe(32);
});
