import { request as httpRequest } from "node:http";
import {
  batchAnswer,
  certificate as certificateSchema,
  maxBatchBytes,
  maxBatchItems,
  nodeTokenHeader,
  problemContentType,
} from "@signet/shared/ca-api";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { decodeSinglePem } from "@signet/shared/pem";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCsr, makeKey, publicKeyDer } from "../support/csr.ts";
import { type Listening, startHttp } from "../support/listening.ts";
import { until } from "../support/poll.ts";
import { makeNode, makePod } from "../support/token-issuer.ts";
import { type Bench, plainSockets, platforms, sleepId, startBench } from "./platforms.ts";

interface Whole {
  readonly nodeToken?: string | null;
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Posts to /v1/certificates/batch; what is not said is right. */
async function askBatch(bench: Bench, requests: readonly unknown[], whole: Whole = {}) {
  const nodeToken = whole.nodeToken === undefined ? await bench.issuer.token(bench.agent) : whole.nodeToken;
  return bench.fetch("/v1/certificates/batch", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      // A refusal that comes before the body was read ends the connection; the next test must not be on it.
      connection: "close",
      ...(nodeToken !== null && { [nodeTokenHeader]: nodeToken }),
      ...whole.headers,
    },
    body: whole.body ?? JSON.stringify({ requests }),
    ...(whole.body instanceof ReadableStream && { duplex: "half" }),
  });
}

async function resultsOf(response: Response): Promise<readonly unknown[]> {
  expect(response.status).toBe(200);
  return v.parse(batchAnswer, await response.json()).results;
}

const item = async ({ issuer, sleep }: Bench, more: object = {}) => ({
  token: await issuer.token(sleep),
  csr: makeCsr(),
  ...more,
});

const deniedPod = makePod("foo", "sleep", makeNode("node-2"));
let denyList: Listening;
beforeAll(async () => {
  denyList = await startHttp((_, response) => response.end(JSON.stringify({ podUids: [deniedPod.pod.uid] })));
});
afterAll(() => denyList.stop());

/** Of which nothing shows where no test asks for it. */
const policy = () => ({
  default: "allow",
  rules: [
    { name: "no-admins", effect: "deny", serviceAccounts: ["admin-*"] },
    {
      ...{ name: "named", effect: "allow", namespaces: ["named"], maxTtl: "5m" },
      dnsNames: ["{serviceAccount}.{namespace}.svc"],
    },
  ],
  denyLists: [`${denyList.url}/deny.json`],
});

describe.each(platforms)("batches on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform, { policy: policy() });
  });
  afterAll(() => bench?.stop());

  test("hold each item to the policy and the deny list", async () => {
    const pods = [
      makePod("named", "web", bench.node),
      makePod("named", "admin-1", bench.node),
      { ...deniedPod, node: bench.node },
    ];
    const items = await Promise.all(pods.map((pod) => bench.issuer.token(pod)));
    const response = await askBatch(
      bench,
      items.map((token) => ({ token, csr: makeCsr() })),
    );
    const [named, ...refused] = await resultsOf(response);
    const problem = { type: "urn:signet:problem:identity-not-entitled", status: 403 };
    expect(refused).toMatchObject([{ problem }, { problem }]);
    const { certificate } = v.parse(v.object({ certificate: certificateSchema }), named);
    const leaf = parseCertificate(decodeSinglePem(certificate.certificateChain[0] ?? "", ["CERTIFICATE"]));
    expect(leaf.subjectAltName).toMatchObject({
      ...{ uris: ["spiffe://cluster.local/ns/named/sa/web"], dnsNames: ["web.named.svc"], others: 0 },
    });
    expect(leaf.notAfter - leaf.notBefore).toBeLessThanOrEqual(300 + 60);
  });

  test("give each item the certificate of its own token and key, in the order asked", async () => {
    const accounts = ["sleep", "httpbin", "ratings", "sleep"];
    const keys = accounts.map(() => makeKey());
    const items = await Promise.all(
      accounts.map(async (account, index) => ({
        token: await bench.issuer.token(makePod("foo", account, bench.node)),
        csr: makeCsr({ key: keys[index] ?? makeKey() }),
        ttlSeconds: 600 + index,
      })),
    );
    const response = await askBatch(bench, items);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const results = await resultsOf(response);
    const issued = results.map((result) => {
      expect(Object.keys(result as object).sort()).toEqual(["certificate", "status"]);
      return v.parse(v.object({ status: v.literal(201), certificate: certificateSchema }), result).certificate;
    });
    const leaves = issued.map(({ certificateChain }) =>
      parseCertificate(decodeSinglePem(certificateChain[0] ?? "", ["CERTIFICATE"])),
    );
    expect(leaves.map((leaf) => readSvid(leaf).toString())).toEqual(
      accounts.map((account) => `spiffe://cluster.local/ns/foo/sa/${account}`),
    );
    expect(leaves.map((leaf) => Buffer.from(leaf.publicKey).toString("hex"))).toEqual(
      keys.map((key) => Buffer.from(publicKeyDer(key)).toString("hex")),
    );
    const skew = (leaves[0]?.notAfter ?? 0) - (leaves[0]?.notBefore ?? 0) - 600;
    expect(leaves.map((leaf) => leaf.notAfter - leaf.notBefore - skew)).toEqual([600, 601, 602, 603]);
    expect(new Set(leaves.map((leaf) => leaf.serialNumber)).size).toBe(4);
  });

  test("refuse single items, each with the problem that it would have had alone, and serve the others", async () => {
    const { issuer, sleep, agent } = bench;
    const cases: readonly (readonly [unknown, number, string | undefined])[] = [
      [await item(bench), 201, undefined],
      [await item(bench, { token: "abc" }), 401, "token-not-accepted"],
      [await item(bench, { token: await issuer.token(sleep, { lifetime: -1 }) }), 401, "token-not-accepted"],
      [await item(bench, { token: `eyJ${"x".repeat(17_000)}.e30.e30` }), 401, "token-not-accepted"],
      [await item(bench, { token: " " }), 401, "token-missing"],
      [
        await item(bench, { token: await issuer.token(makePod("foo", "sleep", makeNode("node-2"))) }),
        403,
        "node-not-entitled",
      ],
      [await item(bench, { token: await issuer.token(agent) }), 403, "node-not-entitled"],
      [
        await item(bench, { csr: makeCsr({ uris: ["spiffe://cluster.local/ns/foo/sa/admin"] }) }),
        403,
        "identity-not-entitled",
      ],
      [await item(bench, { csr: "hello" }), 400, "malformed-csr"],
      [await item(bench, { csr: makeCsr({ uris: [sleepId, sleepId] }) }), 400, "csr-not-allowed"],
      [await item(bench, { csr: makeCsr({ key: makeKey("p521") }) }), 400, "key-not-allowed"],
      [await item(bench, { csr: "x".repeat(13_000) }), 400, "malformed-request"],
      [await item(bench, { ttlSeconds: 0 }), 400, "malformed-request"],
      [await item(bench, { dns: ["a"] }), 400, "malformed-request"],
      [{ csr: makeCsr() }, 400, "malformed-request"],
      [null, 400, "malformed-request"],
      [await item(bench), 201, undefined],
    ];
    const response = await askBatch(
      bench,
      cases.map(([request]) => request),
    );
    const requestId = response.headers.get("x-request-id");
    const results = (await resultsOf(response)) as { status: number; problem?: Record<string, unknown> }[];
    expect(results.map(({ status, problem }) => [status, problem?.type])).toEqual(
      cases.map(([, status, code]) => [status, code && `urn:signet:problem:${code}`]),
    );
    for (const [index, { status, problem }] of results.entries()) {
      if (problem === undefined) continue;
      expect(problem.status).toBe(status);
      expect(problem.requestId).toBe(`${requestId}-${index}`);
      // As for a request of its own: 401 and 403 never say why.
      expect("detail" in problem).toBe(status !== 401 && status !== 403);
    }
  });

  test.each([
    { rule: "a missing agent token", whole: { nodeToken: null }, status: 401, code: "token-missing" },
    { rule: "an agent token that is none", whole: { nodeToken: "abc" }, status: 401, code: "token-not-accepted" },
    { rule: "a body that is not JSON", whole: { body: "{" }, status: 400, code: "malformed-request" },
    { rule: "a body that is a list", whole: { body: "[]" }, status: 400, code: "malformed-request" },
    { rule: "no items", whole: { body: '{"requests":[]}' }, status: 400, code: "malformed-request" },
    {
      rule: "an unknown member beside the items",
      whole: { body: '{"requests":[1],"nodeToken":"x"}' },
      status: 400,
      code: "malformed-request",
    },
    {
      rule: "one item too many",
      whole: { body: JSON.stringify({ requests: Array(maxBatchItems + 1).fill(1) }) },
      status: 400,
      code: "malformed-request",
    },
    {
      rule: "a form",
      whole: { headers: { "content-type": "application/x-www-form-urlencoded" } },
      status: 415,
      code: "unsupported-media-type",
    },
    {
      rule: "a compressed body",
      whole: { headers: { "content-encoding": "gzip" } },
      status: 415,
      code: "unsupported-media-type",
    },
  ])("refuse $rule as a whole: $status $code", async ({ whole, status, code }) => {
    const response = await askBatch(bench, [await item(bench)], whole);
    expect(response.headers.get("content-type")).toBe(problemContentType);
    const problem = (await response.json()) as Record<string, unknown>;
    expect({ status: response.status, type: problem.type }).toEqual({ status, type: `urn:signet:problem:${code}` });
    if (status === 401) expect(response.headers.get("www-authenticate")).toBe("Bearer");
  });

  test("refuse as a whole what an account asks that is no agent", async () => {
    const response = await askBatch(bench, [await item(bench)], {
      nodeToken: await bench.issuer.token(bench.sleep),
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:node-not-entitled" });
  });

  // No fetch sends a length that is not its body's.
  if (plainSockets.includes(platform)) {
    test("refuse a body that is too large by what it says of its length, before a byte of it", async () => {
      const status = await new Promise((resolve, reject) => {
        const headers = { "content-type": "application/json", "content-length": maxBatchBytes + 1 };
        const request = httpRequest(`${bench.url}/v1/certificates/batch`, { method: "POST", headers }, (response) => {
          resolve(response.statusCode);
          request.destroy();
        });
        request.on("error", reject);
        request.flushHeaders();
      });
      expect(status).toBe(413);
    });
  }

  // Beyond 6 MB AWS itself answers 413.
  if (platform !== "lambda") {
    test("refuse a body that is too large and says no length", async () => {
      const part = new Uint8Array(1024 * 1024).fill(0x20);
      let left = Math.ceil(maxBatchBytes / part.length) + 1;
      const body = new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(part);
          else controller.close();
        },
      });
      expect((await askBatch(bench, [], { body })).status).toBe(413);
    });
  }

  test("take the most items at once, with the longest tokens that fit", async () => {
    const pad = "x".repeat(11_000);
    const token = await bench.issuer.token(bench.sleep, { claims: { pad } });
    const csr = makeCsr();
    const results = (await resultsOf(await askBatch(bench, Array(maxBatchItems).fill({ token, csr })))) as {
      status: number;
    }[];
    expect(results.map(({ status }) => status)).toEqual(Array(maxBatchItems).fill(201));
  });

  test("answer another method as a problem", async () => {
    const response = await bench.fetch("/v1/certificates/batch");
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST, OPTIONS");
  });

  test("leave a line in the log for each item, and no token, CSR or key", async () => {
    const { token: good, csr } = await item(bench);
    const bad = await bench.issuer.token(bench.sleep, { lifetime: -1 });
    const response = await askBatch(bench, [
      { token: good, csr },
      { token: bad, csr },
    ]);
    const requestId = response.headers.get("x-request-id");
    const events = () =>
      bench
        .tail()
        .split("\n")
        .filter((line) => line.includes(`${requestId}-`))
        .map((line) => /"event":"(\w+)"/.exec(line)?.[1]);
    await until("both items to be logged", () => events().includes("refused") && events().includes("signed"));
    expect(events().sort()).toEqual(["refused", "signed", "signing"]);
    for (const token of [good, bad]) expect(bench.tail()).not.toContain(token.split(".")[2]);
    expect(bench.tail()).not.toMatch(/BEGIN|MII/);
  });
});
