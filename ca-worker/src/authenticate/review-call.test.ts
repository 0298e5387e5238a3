import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { SignetError } from "@signet/shared/errors";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FakeApiServer, startFakeApiServer, type Trick } from "../../../test/support/api-server.ts";
import { startHttp } from "../../../test/support/listening.ts";
import { freePort } from "../../../test/support/ports.ts";
import { createFetchTrusting } from "../entry/node/fetch-trusting.ts";
import { reviewCall } from "./review-call.ts";

const folder = mkdtempSync(join(tmpdir(), "signet-review-"));
const otherFolder = mkdtempSync(join(tmpdir(), "signet-review-"));
let api: FakeApiServer;
let url: string;
let roots: string;
beforeAll(async () => {
  api = await startFakeApiServer(folder);
  url = `https://127.0.0.1:${api.environment.KUBERNETES_SERVICE_PORT}`;
  roots = readFileSync(join(folder, "ca.crt"), "utf8");
});
afterAll(async () => {
  await api.stop();
  for (const one of [folder, otherFolder]) rmSync(one, { recursive: true });
});
const status = { authenticated: true };
beforeEach(() => {
  api.requests.length = 0;
  api.tokens = ["rev1ewer"];
  api.trick = () => undefined;
  api.review = () => status;
});

function bench(changes: { url?: string; fetch?: typeof fetch; timeoutMs?: number } = {}) {
  const state = { now: 1_000, token: "rev1ewer" as string | Error, roots, reads: 0 };
  const read = (text: string | Error) => {
    if (text instanceof Error) throw text;
    return text;
  };
  const review = reviewCall({
    ...{ url, ...changes },
    token: {
      read: () => {
        state.reads++;
        return read(state.token);
      },
    },
    connect: changes.fetch
      ? { fetch: changes.fetch }
      : { fetchTrusting: createFetchTrusting(), caCertificate: { read: () => state.roots } },
    clock: () => state.now,
  });
  return { state, review: () => review("the.token.itself", ["signet-ca"]) };
}
const unavailable = (text: string) =>
  expect.objectContaining({ name: "SignetError", code: "issuer-unavailable", message: expect.stringContaining(text) });

describe("a TokenReview", () => {
  test("is asked for with the token, our audiences and the reviewer's own token", async () => {
    const { review } = bench();
    expect(await review()).toEqual(status);
    const [request] = api.requests;
    expect(request).toMatchObject({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/tokenreviews",
      token: "rev1ewer",
    });
    expect(JSON.parse(request?.body ?? "")).toEqual({
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token: "the.token.itself", audiences: ["signet-ca"] },
    });
  });

  test("is found under the path that the URL has, as behind a proxy of many clusters", async () => {
    api.trick = () => ({ status: 404, body: "{}" });
    await expect(bench({ url: `${url}/k8s/clusters/c-1/` }).review()).rejects.toEqual(unavailable("answers 404"));
    expect(api.requests[0]?.path).toBe("/k8s/clusters/c-1/apis/authentication.k8s.io/v1/tokenreviews");
  });

  test.each<{ rule: string; trick: Trick; says: string }>([
    { rule: "no answer", trick: "hang-up", says: "" },
    { rule: "a redirect", trick: { status: 307, body: "" }, says: "answers 307" },
    { rule: "forbidden", trick: { status: 403, body: "{}" }, says: "system:auth-delegator" },
    { rule: "too many requests", trick: { status: 429, body: "{}" }, says: "answers 429" },
    { rule: "an error of the server", trick: { status: 500, body: "{}" }, says: "answers 500" },
    { rule: "nothing", trick: { status: 201, body: "" }, says: "not JSON" },
    { rule: "no JSON", trick: { status: 200, body: "<html>the.token.itself" }, says: "not JSON" },
    { rule: "null", trick: { status: 200, body: "null" }, says: "no TokenReview" },
    {
      rule: "another object",
      trick: { status: 200, body: '{"kind":"Status","status":"Success"}' },
      says: "no TokenReview",
    },
    {
      rule: "a status twice",
      trick: { status: 200, body: '{"kind":"TokenReview","status":{},"status":{"authenticated":true}}' },
      says: "twice",
    },
    { rule: "more than may count", trick: { status: 200, body: `"${"x".repeat(256 * 1_024)}"` }, says: "262144 bytes" },
  ])("with $rule for an answer is no answer, and no error quotes a token", async ({ trick, says }) => {
    api.trick = () => trick;
    const caught = await bench()
      .review()
      .catch((error: unknown) => error);
    expect(caught).toEqual(unavailable(says));
    expect((caught as SignetError).retryAfterSeconds).toBeGreaterThan(0);
    expect((caught as SignetError).message).not.toMatch(/the\.token\.itself|rev1ewer/);
  });

  test("is no answer where nobody listens", async () => {
    const { review } = bench({ url: `https://127.0.0.1:${await freePort()}` });
    await expect(review()).rejects.toEqual(unavailable("ECONNREFUSED"));
  });

  test("is no answer where it does not come in time", async () => {
    api.trick = () => new Promise(() => {});
    await expect(bench({ timeoutMs: 20 }).review()).rejects.toEqual(unavailable("no answer in time"));
  });

  test("is not taken from a server of another certificate authority, nor with Node's own list", async () => {
    const other = await startFakeApiServer(otherFolder);
    await other.stop();
    const { state, review } = bench();
    state.roots = readFileSync(join(otherFolder, "ca.crt"), "utf8");
    await expect(review()).rejects.toEqual(unavailable("DEPTH_ZERO_SELF_SIGNED_CERT"));
    await expect(bench({ fetch }).review()).rejects.toEqual(unavailable("DEPTH_ZERO_SELF_SIGNED_CERT"));
    expect(api.requests).toEqual([]);
    // Once the right one is there it works at once.
    state.roots = roots;
    expect(await review()).toEqual(status);
  });

  test("is not taken from a server that Node's own list knows, where the certificate authority's place is empty", async () => {
    const known = getCACertificates("default");
    setDefaultCACertificates([roots]);
    try {
      const { state, review } = bench();
      state.roots = "";
      await expect(review()).rejects.toEqual(unavailable("DEPTH_ZERO_SELF_SIGNED_CERT"));
      expect(api.requests).toEqual([]);
    } finally {
      setDefaultCACertificates(known);
    }
  });

  test("is not led elsewhere by a redirect, neither of both tokens", async () => {
    const seen: string[] = [];
    const { url: plain, stop } = await startHttp((request, response) => {
      seen.push(request.url ?? "");
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await expect(bench({ url: plain, fetch }).review()).rejects.toEqual(unavailable("answers 307"));
    expect(seen).toEqual(["/apis/authentication.k8s.io/v1/tokenreviews"]);
    await stop();
  });

  test("is asked for again on a new connection where a kept one is dead", async () => {
    const { review } = bench();
    await review();
    let first = true;
    api.trick = () => {
      if (!first) return undefined;
      first = false;
      return "hang-up";
    };
    expect(await review()).toEqual(status);
    expect(api.requests).toHaveLength(3);
  });
});

describe("the reviewer's token", () => {
  test("is read again after 30 s, and at once when the API server does not know it", async () => {
    const { state, review } = bench();
    await review();
    state.token = "renewed";
    api.tokens = ["rev1ewer", "renewed"];
    state.now += 30;
    await review();
    expect(api.requests.at(-1)?.token).toBe("rev1ewer");
    state.now += 0.001;
    await review();
    expect(api.requests.at(-1)?.token).toBe("renewed");
    api.tokens = ["newest"];
    state.token = "newest";
    await expect(review()).rejects.toEqual(unavailable("does not know the reviewer's token"));
    expect(await review()).toEqual(status);
  });

  test("goes on counting while its place cannot be read", async () => {
    const { state, review } = bench();
    await review();
    state.token = new SignetError("source-unavailable", "the variable is not set");
    state.now += 31;
    expect(await review()).toEqual(status);
  });

  test.each([
    {
      rule: "cannot be read",
      token: new SignetError("source-unavailable", "the variable is not set"),
      says: "is not set",
    },
    { rule: "is empty", token: " \n", says: "is no token" },
    { rule: "is no token", token: "two words\r\nx-header: 1", says: "is no token" },
  ])("that $rule lets nothing be asked", async ({ token, says }) => {
    const { state, review } = bench();
    state.token = token;
    await expect(review()).rejects.toEqual(unavailable(says));
    expect(api.requests).toEqual([]);
  });
});
