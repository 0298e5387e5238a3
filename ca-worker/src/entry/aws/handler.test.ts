import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { createHandler, type Served } from "./handler.ts";
import { createLambdaLogger } from "./log.ts";

const event = {
  version: "2.0",
  rawPath: "/healthz",
  headers: {},
  requestContext: { http: { method: "GET" } },
};

function bench(answer: Served["answer"], flush: Served["flush"] = async () => {}) {
  const lines: Record<string, unknown>[] = [];
  const logger = createLambdaLogger({
    write: (line) => lines.push(JSON.parse(line)),
    clock: () => Date.parse("2026-11-25T10:00:00Z") / 1000,
    debug: false,
  });
  const handler = createHandler({ answer, flush }, logger);
  let invocations = 0;
  /** @param remaining milliseconds that Lambda leaves */
  const invoke = (given: unknown = event, remaining = 60_000) =>
    handler(given, { awsRequestId: `aws-${++invocations}`, getRemainingTimeInMillis: () => remaining });
  return { lines, logger, invoke };
}

/** An answer that is given when the test says so. */
function held(): { readonly answer: Promise<Response>; give(): void } {
  let give = () => {};
  const answer = new Promise<Response>((resolve) => {
    give = () => resolve(new Response("late"));
  });
  return { answer, give };
}

describe("the function's handler", () => {
  test("gives what the app answers", async () => {
    const { invoke, lines } = bench(async ({ url, method }) => Response.json({ url, method }, { status: 201 }));
    expect(await invoke()).toMatchObject({
      statusCode: 201,
      body: '{"url":"https://localhost/healthz","method":"GET"}',
    });
    expect(lines).toEqual([]);
  });

  test("ties each line to its invocation, also where several run at once", async () => {
    const { answer, give } = held();
    const { invoke, logger, lines } = bench(async () => {
      logger.info({ event: "begun" }, "begun");
      const response = await answer;
      logger.info({ event: "done" }, "done");
      return response.clone();
    });
    logger.info({ event: "init" }, "not yet");
    const both = [invoke(), invoke()];
    give();
    await Promise.all(both);
    const seen = lines.map(({ event, awsRequestId }) => `${event} ${awsRequestId}`);
    expect(seen.sort()).toEqual(["begun aws-1", "begun aws-2", "done aws-1", "done aws-2", "init undefined"]);
    expect(lines[0]).toEqual({
      timestamp: "2026-11-25T10:00:00.000Z",
      level: "info",
      message: "not yet",
      event: "init",
    });
  });

  test("says that it is out of time before Lambda ends it", async () => {
    const { answer, give } = held();
    const { invoke, lines } = bench(() => answer);
    const result = await invoke(event, 500);
    expect(result).toMatchObject({ statusCode: 503, headers: { "retry-after": "5", "x-request-id": "aws-1" } });
    expect(JSON.parse(result.body)).toMatchObject({ type: "urn:signet:problem:cannot-sign" });
    expect(lines).toMatchObject([{ level: "error", code: "cannot-sign", awsRequestId: "aws-1" }]);
    give();
  });

  test("has what waits sent before it is frozen, and answers all the same when that fails or hangs", async () => {
    const order: string[] = [];
    const answer = async () => new Response("ok");
    const flushed = bench(answer, async () => {
      await Promise.resolve();
      order.push("flushed");
    });
    await flushed.invoke();
    order.push("answered");
    expect(order).toEqual(["flushed", "answered"]);
    const failing = bench(answer, () => Promise.reject(new Error("down")));
    expect(await failing.invoke()).toMatchObject({ statusCode: 200 });
    const hanging = bench(answer, () => new Promise(() => {}));
    expect(await hanging.invoke(event, 510)).toMatchObject({ statusCode: 200 });
  });

  test("answers a failure of the app as a problem, and tells no more of it", async () => {
    const { invoke, lines } = bench(() => Promise.reject(new Error("a secret")));
    const result = await invoke();
    expect(result).toMatchObject({ statusCode: 500, headers: { "content-type": "application/problem+json" } });
    expect(JSON.stringify([result, lines])).not.toContain("secret");
    expect(lines).toMatchObject([{ level: "error", code: "internal" }]);
    const { invoke: refused } = bench(() => Promise.reject(new SignetError("token-missing", "none")));
    expect(await refused()).toMatchObject({ statusCode: 401 });
  });

  test("answers a method that no request can have, and calls it no fault", async () => {
    const { invoke, lines } = bench(async () => new Response("ok"));
    expect(await invoke({ ...event, requestContext: { http: { method: "TRACE" } } })).toMatchObject({
      statusCode: 405,
    });
    expect(lines).toEqual([]);
  });

  test("tells the operator, and not the client, of events of another format", async () => {
    const { invoke, lines } = bench(async () => new Response("ok"));
    const result = await invoke({ httpMethod: "GET", path: "/healthz" });
    expect(result).toMatchObject({ statusCode: 500, headers: { "x-request-id": "aws-1" } });
    expect(result.body).not.toContain("payload");
    expect(lines).toMatchObject([
      { event: "unsupported-event", error: expect.stringContaining('PayloadFormatVersion "2.0"') },
    ]);
    await expect(invoke({ Records: [] })).rejects.toMatchObject({
      message: expect.stringContaining("payload format 2.0"),
    });
  });
});

test("lines of level debug are written when asked for", () => {
  const lines: string[] = [];
  for (const debug of [false, true]) {
    createLambdaLogger({ write: (line) => lines.push(line), clock: () => 0, debug }).debug({ event: "a" }, "b");
  }
  expect(lines).toEqual(['{"timestamp":"1970-01-01T00:00:00.000Z","level":"debug","message":"b","event":"a"}\n']);
});
