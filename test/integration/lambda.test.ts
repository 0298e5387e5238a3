import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Bench, sleepId } from "../contract/platforms.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaInLambda } from "../support/ca-lambda.ts";
import { maxPayloadBytes } from "../support/lambda-events.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// The contract suite has the function behind a function URL.
describe("the Lambda function behind an HTTP API with a stage", () => {
  let folder: WorkFolder;
  let bench: Bench;
  beforeAll(async () => {
    folder = await makeWorkFolder("lambda");
    const issuer = await TokenIssuer.create();
    const config = caConfig({ keys: issuer.jwks });
    const front = { kind: "http-api", stage: "prod" } as const;
    const ca = await startCaInLambda({ folder: folder.path, config, front });
    const node = makeNode("node-1");
    bench = {
      ...{ issuer, node, url: ca.url },
      sleep: makePod("foo", "sleep", node),
      agent: makePod(agentServiceAccount.namespace, agentServiceAccount.name, node),
      fetch: (path, init) => fetch(`${ca.url}${path}`, init),
      tail: () => ca.tail(),
      stop: () => ca.stop(),
    };
  });
  afterAll(async () => {
    await bench?.stop();
    await folder.remove();
  });

  test("signs, and its log has Lambda's id beside the request's own", async () => {
    const response = await ask(bench);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ spiffeId: sleepId });
    const requestId = response.headers.get("x-request-id");
    const lines = bench
      .tail()
      .split("\n")
      .filter((line) => line.includes(`"requestId":"${requestId}"`));
    const signed = lines.map((line) => JSON.parse(line)).find(({ event }) => event === "signed");
    expect(signed).toMatchObject({
      level: "info",
      spiffeId: sleepId,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test.each([
    { path: "/v1/certificates%3Fx=y", status: 404 },
    { path: "/v1/certificates%23", status: 404 },
    { path: "/prod/healthz", status: 404 },
    { path: "/healthz?a=b", status: 200 },
    { path: "/v1%2Ftrust-bundle", status: 200 },
  ])("answers $status at $path, which API Gateway decodes", async ({ path, status }) => {
    expect((await bench.fetch(path)).status).toBe(status);
  });

  test("two authorization headers are no token", async () => {
    const token = await bench.issuer.token(bench.sleep);
    const response = await ask(bench, { token: `${token},Bearer ${token}` });
    expect(response.status).toBe(401);
  });

  test("AWS answers for itself beyond the payload that a function takes", async () => {
    const body = " ".repeat(maxPayloadBytes);
    const response = await ask(bench, { body });
    expect({ status: response.status, type: response.headers.get("content-type") }).toEqual({
      status: 413,
      type: "application/json",
    });
  });
});
