import { afterEach, beforeEach, expect, test } from "vitest";
import { makeCsr } from "../../../../test/support/csr.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { makeNode, makePod, TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { parseConfig } from "../../config.ts";
import { type Running, serve } from "./serve.ts";

const issuer = await TokenIssuer.create();
const away = await TokenIssuer.create("https://away.example.com");
const pod = makePod("foo", "sleep", makeNode("node-1"));

let folder: WorkFolder;
let ca: Running;
beforeEach(async () => {
  folder = await makeWorkFolder("serve-batch");
});
afterEach(async () => {
  await ca.stop();
  await folder.remove();
});

/** A CA without node binding. */
async function start(store: string): Promise<void> {
  const config = {
    trustDomain: "cluster.local",
    authority: { store },
    nodeBinding: "off",
    issuers: [
      { issuer: issuer.issuer, audiences: ["signet-ca"], keys: issuer.jwks },
      { issuer: away.issuer, audiences: ["signet-ca"], keys: "http://127.0.0.1:9/jwks" },
    ],
  };
  ca = await serve({
    ...{ config: parseConfig(JSON.stringify(config), "ca.json"), source: "ca.json", folder: folder.path },
    ...{ host: "127.0.0.1", port: 0, tls: undefined, logger: makeLogger() },
  });
}

async function askBatch(tokens: readonly string[]): Promise<{ status: number; problem?: object }[]> {
  const requests = tokens.map((token) => ({ token, csr: makeCsr() }));
  const response = await fetch(`${ca.url}/v1/certificates/batch`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ requests }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { results: { status: number; problem?: object }[] }).results;
}

test("without node binding a batch needs no agent; an issuer that is away fails its own tokens only", async () => {
  await start("file:authority.json");
  const results = await askBatch([await issuer.token(pod), await away.token(pod), await issuer.token(pod)]);
  expect(results).toMatchObject([
    { status: 201 },
    { status: 503, problem: { type: "urn:signet:problem:issuer-unavailable" }, retryAfterSeconds: expect.any(Number) },
    { status: 201 },
  ]);
});

test("each item counts in the metrics as a request of its own, and the batch as one of its size", async () => {
  await start("file:authority.json");
  await askBatch([await issuer.token(pod), "abc", await issuer.token(pod)]);
  const text = await (await fetch(`${ca.url}/metrics`)).text();
  expect(text).toMatch(/^signet_ca_certificate_requests_total\{result="signed"\} 2$/m);
  expect(text).toMatch(/^signet_ca_certificate_requests_total\{result="token-not-accepted"\} 1$/m);
  expect(text).toMatch(/^signet_ca_batch_items_bucket\{le="2"\} 0$/m);
  expect(text).toMatch(/^signet_ca_batch_items_bucket\{le="4"\} 1$/m);
  expect(text).toMatch(/^signet_ca_batch_items_sum 3$/m);
});

test("a CA that cannot sign says for each item when to come back", async () => {
  await start("env:SIGNET_NO_SUCH_VARIABLE");
  expect(await askBatch([await issuer.token(pod)])).toMatchObject([
    { status: 503, problem: { type: "urn:signet:problem:cannot-sign", status: 503 }, retryAfterSeconds: 5 },
  ]);
});
