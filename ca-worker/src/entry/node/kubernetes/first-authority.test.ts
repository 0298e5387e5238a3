import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FakeApiServer, startFakeApiServer } from "../../../../../test/support/api-server.ts";
import { makeLogger } from "../../../../../test/support/test-logger.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../../test/support/work-folder.ts";
import { parseAuthorityDocument } from "../../../authority/document.ts";
import { clusterAccess } from "./access.ts";
import { ApiServer } from "./api-server.ts";
import { ensureAuthority } from "./first-authority.ts";
import { SecretStore } from "./secret-store.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const secrets = "/api/v1/namespaces/signet-system/secrets";
const [authorityPath, rootKeyPath] = [`${secrets}/signet-authority`, `${secrets}/signet-authority-root-key`];

let folder: WorkFolder;
let fake: FakeApiServer;
let logger: ReturnType<typeof makeLogger>;
beforeEach(async () => {
  folder = await makeWorkFolder("first");
  fake = await startFakeApiServer(folder.path);
  logger = makeLogger();
});
afterEach(async () => {
  await fake.stop();
  await folder.remove();
});

function store(): SecretStore {
  const access = clusterAccess({ environment: fake.environment, folder: folder.path, patienceSeconds: 1 }, "store");
  return new SecretStore(new ApiServer(access, "authority-unavailable"), {
    namespace: "signet-system",
    name: "signet-authority",
  });
}
const ensure = (patienceSeconds = 2, keepRootKey = true) =>
  ensureAuthority({ store: store(), trustDomain, keepRootKey, logger, patienceSeconds });
const posts = () =>
  fake.requests.filter(({ method }) => method === "POST").map(({ body }) => JSON.parse(body).metadata.name);
const textOf = (path: string, key: string) =>
  Buffer.from(fake.objects.get(path)?.data?.[key] ?? "", "base64").toString();

describe("the first start in a cluster", () => {
  test("makes the root key's Secret, then the authority's; later starts find it", async () => {
    expect(await ensure()).toBe(true);
    expect(posts()).toEqual(["signet-authority-root-key", "signet-authority"]);
    const labels = { "app.kubernetes.io/name": "signet-ca", "app.kubernetes.io/managed-by": "signet-ca" };
    expect(fake.objects.get(rootKeyPath)).toMatchObject({ type: "Opaque", immutable: true, metadata: { labels } });
    expect(fake.objects.get(authorityPath)).toMatchObject({ type: "Opaque", metadata: { labels } });
    expect(fake.objects.get(authorityPath)).not.toHaveProperty("immutable");
    expect(textOf(rootKeyPath, "root-key.pem")).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    const text = await store().read();
    expect(parseAuthorityDocument(text)).toMatchObject({ sequence: 1, authorities: [{ state: "active" }] });
    expect(text).not.toContain(textOf(rootKeyPath, "root-key.pem").split("\n")[1]);
    expect(await ensure()).toBe(false);
    expect(posts()).toHaveLength(2);
    // The CA never asks for what it may not read.
    expect(fake.requests.filter(({ method, path }) => method === "GET" && path !== authorityPath)).toEqual([]);
  });

  test("of five replicas at once ends with one authority", async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => ensure(10)));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect([...fake.objects.keys()].sort()).toEqual([authorityPath, rootKeyPath]);
    expect(posts().filter((name) => name === "signet-authority")).toHaveLength(1);
  });

  test("goes on when the API server is away between the two", async () => {
    let failures = 0;
    fake.trick = ({ method, body }) =>
      method === "POST" && !body.includes("root-key.pem") && failures++ < 2 ? { status: 503, body: "" } : undefined;
    expect(await ensure(10)).toBe(true);
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(2);
  });

  test("knows its own document when the answer to it was lost", async () => {
    let lost = false;
    fake.trick = async ({ method, path, body }) => {
      if (lost || method !== "POST" || body.includes("root-key.pem")) return undefined;
      lost = true;
      const { stringData, ...object } = JSON.parse(body);
      const data = { "authority.json": Buffer.from(stringData["authority.json"]).toString("base64") };
      fake.objects.set(`${path}/${object.metadata.name}`, { ...object, data });
      return "hang-up";
    };
    expect(await ensure(10)).toBe(true);
    expect(posts()).toEqual(["signet-authority-root-key", "signet-authority", "signet-authority"]);
  });

  test("uses an authority that an operator put there meanwhile, and tells of the root key", async () => {
    fake.trick = ({ method, body }) => {
      if (method === "POST" && body.includes("root-key.pem")) {
        const data = { "authority.json": Buffer.from("restored").toString("base64") };
        fake.objects.set(authorityPath, { metadata: { name: "signet-authority" }, data });
      }
      return undefined;
    };
    expect(await ensure()).toBe(false);
    expect(await store().read()).toBe("restored");
    expect(logger.lines).toMatchObject([{ level: "warn", rootKeySecret: "signet-authority-root-key" }]);
  });

  test("refuses where a root key is and no authority comes: what to do is said", async () => {
    fake.objects.set(rootKeyPath, { metadata: { name: "signet-authority-root-key" } });
    const error = await ensure(0.6).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ name: "SignetError", code: "authority-unavailable" });
    expect((error as Error).message).toContain("create secret generic signet-authority --from-file=authority.json");
    expect((error as Error).message).toContain("delete secret signet-authority-root-key");
    expect([...fake.objects.keys()]).toEqual([rootKeyPath]);
  });

  test("leaves alone a Secret that holds something else", async () => {
    fake.objects.set(authorityPath, { metadata: { name: "signet-authority" }, data: { other: "" } });
    await expect(ensure()).rejects.toMatchObject({ message: expect.stringContaining("no key authority.json") });
    expect(posts()).toEqual([]);
  });

  test("without a root key to keep makes one Secret", async () => {
    expect(await ensure(2, false)).toBe(true);
    expect([...fake.objects.keys()]).toEqual([authorityPath]);
  });

  test.each([
    { rule: "get is not allowed", method: "GET", status: 403, says: /RBAC.*get secrets "signet-authority"/ },
    { rule: "create is not allowed", method: "POST", status: 403, says: /RBAC.*create secrets in namespace/ },
    { rule: "the namespace is missing", method: "POST", status: 404, says: /no namespace signet-system/ },
  ])("ends at once where $rule", async ({ method, status, says }) => {
    fake.trick = (request) => (request.method === method ? { status, body: "{}" } : undefined);
    await expect(ensure(60)).rejects.toMatchObject({ message: expect.stringMatching(says) });
    expect(fake.objects.size).toBe(0);
  });

  test("waits for an API server that is away, but not for ever", async () => {
    fake.trick = () => "hang-up";
    await expect(ensure(1)).rejects.toMatchObject({ code: "authority-unavailable" });
    expect(fake.requests.length).toBeGreaterThan(1);
  });

  test.each([
    { rule: "when all goes well", trick: () => undefined },
    {
      rule: "when the API server echoes what it refuses",
      trick: ({ method, body }: { method: string; body: string }) =>
        method === "POST" ? { status: 422, body: JSON.stringify({ reason: "Invalid", message: body }) } : undefined,
    },
  ])("tells nothing of a key $rule", async ({ trick }) => {
    fake.trick = trick;
    const error = await ensure().catch((thrown: unknown) => thrown);
    const told = JSON.stringify(logger.lines) + String(error) + (error instanceof Error ? error.stack : "");
    const sent = fake.requests
      .filter(({ method }) => method === "POST")
      .flatMap(({ body }) => body.match(/[A-Za-z0-9+/]{40,}/g) ?? []);
    expect(sent.length).toBeGreaterThan(1);
    for (const piece of sent) expect(told).not.toContain(piece);
  });
});
