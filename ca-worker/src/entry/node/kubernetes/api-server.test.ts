import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type FakeApiServer, startFakeApiServer, type Trick } from "../../../../../test/support/api-server.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../../test/support/work-folder.ts";
import { clusterAccess } from "./access.ts";
import { ApiServer } from "./api-server.ts";

const path = "/api/v1/namespaces/signet-system/secrets/signet-authority";
const call = { method: "GET", path, rule: 'get secrets "signet-authority" in namespace "signet-system"' } as const;
const secret = "c2VjcmV0LXNlY3JldA";

let folder: WorkFolder;
let fake: FakeApiServer;
beforeEach(async () => {
  folder = await makeWorkFolder("api");
  fake = await startFakeApiServer(folder.path);
  fake.objects.set(path, { metadata: { name: "signet-authority" }, data: { a: "b" } });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fake.stop();
  await folder.remove();
});
const access = (environment = fake.environment) =>
  clusterAccess({ environment, folder: folder.path, patienceSeconds: 1 }, "the test");
const client = (environment = fake.environment) => new ApiServer(access(environment), "authority-unavailable");
const refusal = (error: unknown) => error as Error & { code: string; retryAfterSeconds: number | undefined };

describe("the client of the API server", () => {
  test("asks as the service account, over TLS that its ca.crt alone vouches for", async () => {
    expect((await client().call(call)).body).toMatchObject({ data: { a: "b" } });
    expect(fake.requests).toEqual([{ method: "GET", path, token: "first-token", body: "" }]);
  });

  test("reads token and ca.crt again: kubelet changes both", async () => {
    const api = client();
    await api.call(call);
    await writeFile(join(folder.path, "token"), "second-token\n");
    fake.tokens = ["second-token"];
    await api.call(call);
    expect(fake.requests.at(-1)?.token).toBe("second-token");
  });

  test("refuses another certificate, whatever the environment says of verification", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const other = await makeWorkFolder("api-other");
    const stranger = await startFakeApiServer(other.path);
    try {
      const error = refusal(
        await client(stranger.environment)
          .call(call)
          .catch((thrown: unknown) => thrown),
      );
      expect(error).toMatchObject({ code: "authority-unavailable", retryAfterSeconds: 1 });
      expect(error.message).toMatch(/self-signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT/);
      expect(stranger.requests).toEqual([]);
    } finally {
      await stranger.stop();
      await other.remove();
    }
  });

  test.each<{ rule: string; trick: Trick; says: RegExp; passes: boolean }>([
    {
      rule: "403: the RBAC rule that is missing",
      trick: { status: 403, body: `{"reason":"Forbidden","message":"${secret}"}` },
      says: /403 Forbidden.*RBAC.*get secrets "signet-authority" in namespace "signet-system"/,
      passes: false,
    },
    {
      rule: "401: the token is not taken",
      trick: { status: 401, body: "{}" },
      says: /token \(401\)/,
      passes: false,
    },
    { rule: "404, where it means nothing", trick: { status: 404, body: "{}" }, says: /answers 404/, passes: false },
    { rule: "409, where it means nothing", trick: { status: 409, body: "{}" }, says: /answers 409/, passes: true },
    { rule: "429", trick: { status: 429, body: secret }, says: /answers 429/, passes: true },
    { rule: "500", trick: { status: 500, body: secret }, says: /answers 500/, passes: true },
    {
      rule: "a reason that is none",
      trick: { status: 503, body: `{"reason":"${secret} "}` },
      says: /answers 503$/,
      passes: true,
    },
    { rule: "a redirect", trick: { status: 302, body: "" }, says: /answers 302/, passes: false },
    { rule: "an answer that is no JSON", trick: { status: 200, body: `{"${secret}` }, says: /no JSON/, passes: false },
    { rule: "an answer that is a list", trick: { status: 200, body: `["${secret}"]` }, says: /no JSON/, passes: false },
    {
      rule: "an answer of megabytes",
      trick: { status: 200, body: JSON.stringify(secret.repeat(200_000)) },
      says: /more than 2097152 bytes/,
      passes: true,
    },
    { rule: "a connection that ends", trick: "hang-up", says: /cannot be asked: /, passes: true },
  ])("$rule: says so, quotes nothing, and tells what can pass", async ({ trick, says, passes }) => {
    fake.trick = () => trick;
    const error = refusal(
      await client()
        .call(call)
        .catch((thrown: unknown) => thrown),
    );
    expect(error).toMatchObject({ name: "SignetError", code: "authority-unavailable" });
    expect(error.message).toMatch(says);
    expect(error.retryAfterSeconds !== undefined).toBe(passes);
    for (const one of [secret, "first-token"]) expect(error.message + String(error.stack)).not.toContain(one);
  });

  test("an API server that is away can come back", async () => {
    await fake.stop();
    const error = refusal(
      await client()
        .call(call)
        .catch((thrown: unknown) => thrown),
    );
    expect(error).toMatchObject({ code: "authority-unavailable", retryAfterSeconds: 1 });
    expect(error.message).toContain("ECONNREFUSED");
    fake = await startFakeApiServer(folder.path);
  });

  test.each([
    { rule: "is missing", token: undefined, says: "automountServiceAccountToken" },
    { rule: "is empty", token: "", says: "holds no token" },
    { rule: "would be a second header", token: "a\r\nx-y: z", says: "holds no token" },
  ])("a token that $rule is told by its path", async ({ token, says }) => {
    const empty = await makeWorkFolder("api-empty");
    if (token !== undefined) {
      await writeFile(join(empty.path, "token"), token);
      await writeFile(join(empty.path, "ca.crt"), "");
    }
    const api = new ApiServer(
      clusterAccess({ environment: fake.environment, folder: empty.path, patienceSeconds: 1 }, "the test"),
      "issuer-unavailable",
    );
    const error = refusal(await api.call(call).catch((thrown: unknown) => thrown));
    expect(error.code).toBe("issuer-unavailable");
    expect(error.message).toContain(empty.path);
    expect(error.message).toContain(says);
    await empty.remove();
  });

  test.each([
    {},
    { KUBERNETES_SERVICE_HOST: "10.96.0.1" },
    { KUBERNETES_SERVICE_HOST: "a", KUBERNETES_SERVICE_PORT: "x" },
  ])("outside of a pod it is a fault of the configuration: %j", (environment) => {
    expect(() => access(environment as Record<string, string>)).toThrow(
      expect.objectContaining({ code: "config-invalid", message: expect.stringContaining("the test") }),
    );
  });
});
