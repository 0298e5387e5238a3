import { randomUUID } from "node:crypto";
import { type AuditEvent, auditEvent } from "@signet/ca/audit/event";
import { makeAuthority } from "@signet/ca/authority/make/authority";
import { certificate as certificateSchema, nodeTokenHeader } from "@signet/shared/ca-api";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response as WorkerResponse } from "miniflare";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { makeCsr } from "../support/csr.ts";
import { until } from "../support/poll.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { bundleWorker } from "../support/worker-script.ts";

/** The Worker in workerd with bindings as production has them: KV, a queue, Analytics Engine and rate limits. */

/** A clock that tests move on: what a Worker reads again after half a minute is read when a test says so. */
const withClock = `
import worker from "worker";
const real = Date.now;
let ahead = 0;
Date.now = () => real() + ahead * 1000;
export default {
  fetch(request, env, context) {
    ahead = Number(request.headers.get("test-seconds-ahead") ?? 0);
    return worker.fetch(request, env, context);
  },
};`;

/** Takes what comes out of the queue to the test. */
const collector = `
export default {
  async queue({ messages }, env) {
    const bodies = JSON.stringify(messages.map(({ body }) => body));
    await env.TEST.fetch("http://test/", { method: "POST", body: bodies });
  },
};`;

/** A queue that takes nothing, as one that was deleted. */
const deadQueue = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async sendBatch() { throw new Error("Queue sendBatch failed: QueueNotFound"); }
}`;

const workers = ["signs", "denies", "limits", "cannot-record", "reads-config", "loads-early"] as const;
type WorkerName = (typeof workers)[number];

const node = makeNode("node-1");
const sleep = makePod("foo", "sleep", node);
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const events: AuditEvent[] = [];
const logs: string[] = [];
const tokens: string[] = [];
let issuer: TokenIssuer;
let keyServer: Awaited<ReturnType<TokenIssuer["serveJwks"]>>;
let folder: WorkFolder;
let miniflare: Miniflare;

const queueSink = { type: "queue", binding: "AUDIT_QUEUE", required: true };
const config = (more: object = {}) => ({ ...caConfig({ keys: issuer.jwks, store: "env:SIGNET_AUTHORITY" }), ...more });

beforeAll(async () => {
  issuer = await TokenIssuer.create();
  keyServer = await issuer.serveJwks();
  folder = await makeWorkFolder("bindings");
  const { document } = await makeAuthority({
    trustDomain: TrustDomain.parse("cluster.local"),
    now: Math.floor(Date.now() / 1000),
  });
  const configs: Record<WorkerName, unknown> = {
    signs: config({ audit: { sinks: [{ type: "log" }, queueSink, { type: "analytics", binding: "AUDIT_FIGURES" }] } }),
    denies: config({ policy: { default: "allow", denyLists: ["kv:SIGNET_KV/deny-list.json"] } }),
    limits: config({ rateLimits: { perNode: { certificates: 2, per: "1m", binding: "NODE_RATE" } } }),
    "cannot-record": config({ audit: { sinks: [{ type: "log" }, { ...queueSink, binding: "DEAD_QUEUE" }] } }),
    "reads-config": "kv:SIGNET_KV/ca.jsonc",
    "loads-early": caConfig({ keys: keyServer.url, store: "env:SIGNET_AUTHORITY" }),
  };
  const script = await bundleWorker(withClock);
  const { compatibilityDate } = script;
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      resourceTmpPath: folder.path,
      log: new Log(LogLevel.ERROR),
      handleStructuredLogs: ({ message }) => logs.push(String(message)),
      workers: [
        ...workers.map((name) => ({
          name,
          modules: true,
          ...script,
          bindings: { SIGNET_CONFIG: configs[name] as never, SIGNET_AUTHORITY: JSON.stringify(document) },
          kvNamespaces: { SIGNET_KV: "signet" },
          queueProducers: { AUDIT_QUEUE: { queueName: "audit" } },
          analyticsEngineDatasets: { AUDIT_FIGURES: { dataset: "figures" } },
          ratelimits: { NODE_RATE: { namespace_id: "1", simple: { limit: 2, period: 60 as const } } },
          serviceBindings: { DEAD_QUEUE: "dead-queue" },
        })),
        {
          name: "collector",
          modules: true,
          script: collector,
          compatibilityDate,
          queueConsumers: { audit: { maxBatchTimeout: 0 } },
          serviceBindings: {
            async TEST(request) {
              events.push(...v.parse(v.array(auditEvent), await request.json()));
              return new WorkerResponse();
            },
          },
        },
        { name: "dead-queue", modules: true, script: deadQueue, compatibilityDate },
      ],
    }),
  );
  await miniflare.ready;
});
afterAll(async () => {
  await miniflare?.dispose();
  await keyServer?.stop();
  await folder?.remove();
});

async function ask(name: WorkerName, path: string, init: { method?: string; body?: string } = {}, secondsAhead = 0) {
  const worker = (await miniflare.getWorker(name)) as unknown as { fetch: typeof fetch };
  const [token, nodeToken] = [await issuer.token(sleep), await issuer.token(agent)];
  tokens.push(token, nodeToken);
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${token}`,
    [nodeTokenHeader]: nodeToken,
    "test-seconds-ahead": String(secondsAhead),
  };
  const response = await worker.fetch(`http://ca.test${path}`, { ...init, headers });
  // An answer that is not read to its end would keep workerd from ending.
  return new Response(await response.text(), response);
}
const post = (name: WorkerName, secondsAhead = 0) =>
  ask(name, "/v1/certificates", { method: "POST", body: JSON.stringify({ csr: makeCsr() }) }, secondsAhead);
async function putText(key: string, value: unknown): Promise<void> {
  const namespace = await miniflare.getKVNamespace("SIGNET_KV", "signs");
  await (namespace as unknown as { put(key: string, text: string): Promise<void> }).put(key, JSON.stringify(value));
}

describe("a queue as the place where certificates are recorded", () => {
  test("gets the event before the signature and the one after it", async () => {
    const { serialNumber } = v.parse(certificateSchema, await (await post("signs")).json());
    await until("both events", () => events.filter((event) => event.event !== "refused").length >= 2);
    expect(events).toMatchObject([
      { event: "signing", serialNumber, pod: sleep.pod.name },
      { event: "signed", serialNumber, pod: sleep.pod.name },
    ]);
  });

  test("gets those of a whole batch", async () => {
    events.splice(0);
    const token = await issuer.token(sleep);
    const requests = Array.from({ length: 60 }, () => ({ token, csr: makeCsr() }));
    const response = await ask("signs", "/v1/certificates/batch", {
      method: "POST",
      body: JSON.stringify({ requests }),
    });
    expect(response.status).toBe(200);
    await until("two events for each item", () => events.length >= 120);
    expect(new Set(events.map(({ event, requestId }) => `${event} ${requestId}`)).size).toBe(120);
  });

  test("stops signing when it takes nothing", async () => {
    const signed = () => logs.filter((line) => line.includes('"event":"signed"')).length;
    const before = signed();
    const response = await post("cannot-record");
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:cannot-sign" });
    expect(signed()).toBe(before);
    expect(logs.join("\n")).toContain("nothing is signed");
  });
});

describe("a deny list in KV", () => {
  test("nothing is signed before there is one", async () => {
    const response = await post("denies");
    expect({ status: response.status, ready: (await ask("denies", "/readyz")).status }).toEqual({
      status: 503,
      ready: 503,
    });
  });

  test("works without a deployment, half a minute after it was changed", async () => {
    await putText("deny-list.json", { podUids: [randomUUID()] });
    expect((await post("denies", 10)).status).toBe(201);
    await putText("deny-list.json", { podUids: [sleep.pod.uid] });
    expect((await post("denies", 11)).status).toBe(201);
    const response = await post("denies", 45);
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:identity-not-entitled" });
  });
});

describe("a rate-limit binding", () => {
  test("lets through what it says, and tells the others when to come back", async () => {
    // Of five at least three fall into one of its periods, wherever one begins.
    const answers = [];
    for (let n = 0; n < 5; n++) answers.push(await post("limits"));
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([201, 201]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get("retry-after")).toBe("60");
    expect(await refused?.json()).toMatchObject({ type: "urn:signet:problem:rate-limited" });
  });
});

describe("a configuration in KV", () => {
  const put = (document: unknown) => putText("ca.jsonc", document);
  const life = async (secondsAhead: number) => {
    const response = await post("reads-config", secondsAhead);
    if (response.status !== 201) return response.status;
    const { notBefore, notAfter } = v.parse(certificateSchema, await response.json());
    return Math.round((Date.parse(notAfter) - Date.parse(notBefore)) / 600_000) * 10;
  };

  test("is waited for, followed when it changes, and kept when the next one is wrong", async () => {
    expect(await life(0)).toBe(503);
    await put(config({ leaf: { defaultTtl: "1h" } }));
    expect(await life(0)).toBe(60);
    await put(config({ leaf: { defaultTtl: "2h" } }));
    expect(await life(1)).toBe(60);
    expect(await life(32)).toBe(120);
    await put(config({ leaf: { defaultTtl: "2 hours" } }));
    expect(await life(64)).toBe(120);
    expect(logs.join("\n")).toContain("the configuration before stays");
    await put(config({ leaf: { defaultTtl: "3h" } }));
    expect(await life(96)).toBe(180);
  });
});

test("an isolate has its issuers' keys before the first token comes, once anything was asked of it", async () => {
  expect((await ask("loads-early", "/healthz")).status).toBe(200);
  await until("the keys", () => logs.some((line) => line.includes('"event":"issuer-keys"')));
  expect((await post("loads-early")).status).toBe(201);
  expect(keyServer.requests()).toBe(1);
});

test("no part of a token that was sent is in a log line or a message of the queue", () => {
  const told = `${logs.join("\n")}\n${JSON.stringify(events)}`;
  expect(tokens.length).toBeGreaterThan(20);
  expect(tokens.flatMap((token) => token.split(".").slice(1)).filter((part) => told.includes(part))).toEqual([]);
});
