import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ApiObject, type FakeApiServer, startFakeApiServer } from "../../../../../test/support/api-server.ts";
import { makeLogger } from "../../../../../test/support/test-logger.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../../test/support/work-folder.ts";
import type { AuthorityEntry } from "../../../authority/document.ts";
import { makeAuthority } from "../../../authority/make/authority.ts";
import { AuthoritySource } from "../../../authority/source.ts";
import { nodeCrypto } from "../crypto.ts";
import { clusterAccess } from "./access.ts";
import { ApiServer } from "./api-server.ts";
import { RootsPublisher } from "./publish-roots.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const now = Math.floor(Date.now() / 1000);
const path = "/api/v1/namespaces/signet-system/configmaps/signet-ca-roots";
const sequence = "signet.dev/bundle-sequence";

let [first, second] = [] as AuthorityEntry[];
beforeAll(async () => {
  const make = async () => (await makeAuthority({ trustDomain, now })).document.authorities[0];
  [first, second] = [await make(), await make()].map((entry, index) => ({
    ...(entry as AuthorityEntry),
    id: `a${index}`,
  }));
});
const rootOf = (entry: AuthorityEntry | undefined) => entry?.chain.at(-1);
const retiring = (entry: AuthorityEntry | undefined) => ({ ...entry, state: "retiring" });

let folder: WorkFolder;
let fake: FakeApiServer;
beforeEach(async () => {
  folder = await makeWorkFolder("roots");
  fake = await startFakeApiServer(folder.path);
});
afterEach(async () => {
  await fake.stop();
  await folder.remove();
});

/** One replica, over a document that the test sets. */
function replica(documentSequence: number, ...authorities: unknown[]) {
  const state = { content: { version: 1, sequence: documentSequence, authorities }, now };
  const logger = makeLogger();
  const access = clusterAccess({ environment: fake.environment, folder: folder.path, patienceSeconds: 1 }, "test");
  const source = new AuthoritySource({
    store: { read: () => JSON.stringify(state.content) },
    ...{ trustDomain, refreshHintSeconds: 300, crypto: nodeCrypto, clock: () => state.now, logger: makeLogger() },
  });
  const publisher = new RootsPublisher({
    api: new ApiServer(access, "authority-unavailable"),
    configMap: { namespace: "signet-system", name: "signet-ca-roots" },
    authorities: source,
    logger,
  });
  return { state, publisher, logger };
}
const published = () => fake.objects.get(path);
const writes = () => fake.requests.filter(({ method }) => method !== "GET").length;
const foreign = (object: Partial<ApiObject> & { annotations?: Record<string, string> }): ApiObject => ({
  ...object,
  metadata: {
    name: "signet-ca-roots",
    resourceVersion: "7",
    ...(object.annotations && { annotations: object.annotations }),
  },
});

describe("the ConfigMap of roots", () => {
  test("is created, marked as ours, and then left alone", async () => {
    const { publisher, logger } = replica(3, first);
    expect(await publisher.look()).toBe(30);
    expect(published()).toMatchObject({
      kind: "ConfigMap",
      metadata: { labels: { "app.kubernetes.io/managed-by": "signet-ca" }, annotations: { [sequence]: "3" } },
      data: { "roots.pem": rootOf(first) },
    });
    await publisher.look();
    expect(writes()).toBe(1);
    expect(logger.lines).toMatchObject([{ level: "info", sequence: 3 }]);
  });

  test("follows the bundle; keys and labels of others stay", async () => {
    const { publisher, state } = replica(1, first);
    await publisher.look();
    const made = published() as ApiObject;
    made.data = { ...made.data, "other.txt": "kept" };
    made.metadata.labels = { ...made.metadata.labels, team: "mesh" };
    state.content = { version: 1, sequence: 2, authorities: [retiring(first), second] };
    state.now += 30;
    await publisher.look();
    expect(published()).toMatchObject({
      metadata: { labels: { team: "mesh" }, annotations: { [sequence]: "2" } },
      data: { "roots.pem": `${rootOf(first)}${rootOf(second)}`, "other.txt": "kept" },
    });
  });

  test("comes back when it was deleted or its key was changed", async () => {
    const { publisher } = replica(1, first);
    await publisher.look();
    fake.objects.delete(path);
    await publisher.look();
    expect(published()?.data?.["roots.pem"]).toBe(rootOf(first));
    (published() as ApiObject).data = { "roots.pem": "" };
    await publisher.look();
    expect(published()?.data?.["roots.pem"]).toBe(rootOf(first));
  });

  test("never goes back to an older bundle", async () => {
    await replica(2, first, { ...second, state: "prepared" }).publisher.look();
    const old = replica(1, first);
    await old.publisher.look();
    expect(published()).toMatchObject({ metadata: { annotations: { [sequence]: "2" } } });
    expect(published()?.data?.["roots.pem"]).toContain(rootOf(second));
    expect(old.logger.lines).toMatchObject([{ level: "warn", error: expect.stringContaining("newer than ours") }]);
  });

  test("never goes back when the newer one came between look and write", async () => {
    await replica(1, first).publisher.look();
    const newer = replica(3, first, { ...second, state: "prepared" });
    const late = replica(2, first);
    let raced = false;
    fake.trick = async ({ method }) => {
      if (method !== "PATCH" || raced) return undefined;
      raced = true;
      await newer.publisher.look();
      return undefined;
    };
    await late.publisher.look();
    expect(published()).toMatchObject({ metadata: { annotations: { [sequence]: "3" } } });
  });

  test("of replicas that start at once is made once, and nobody complains", async () => {
    const replicas = Array.from({ length: 4 }, () => replica(1, first));
    await Promise.all(replicas.map(({ publisher }) => publisher.look()));
    expect(replicas.flatMap(({ logger }) => logger.lines).filter(({ level }) => level !== "info")).toEqual([]);
    expect(published()?.data?.["roots.pem"]).toBe(rootOf(first));
  });

  test.each<{ rule: string; found: ApiObject; taken: boolean }>([
    { rule: "an empty one that somebody prepared", found: foreign({}), taken: true },
    { rule: "one with other keys", found: foreign({ data: { a: "b" } }), taken: true },
    {
      rule: "one with our annotation",
      found: foreign({ data: { "roots.pem": "old" }, annotations: { [sequence]: "1" } }),
      taken: true,
    },
    {
      rule: "one whose annotation is no number",
      found: foreign({ data: { "roots.pem": "old" }, annotations: { [sequence]: "x" } }),
      taken: true,
    },
    { rule: "one with somebody else's roots.pem", found: foreign({ data: { "roots.pem": "theirs" } }), taken: false },
  ])("$rule is taken: $taken", async ({ found, taken }) => {
    fake.objects.set(path, found);
    const { publisher, logger } = replica(1, first);
    await publisher.look();
    expect(published()?.data).toEqual(taken ? { ...found.data, "roots.pem": rootOf(first) } : found.data);
    expect(logger.lines.map(({ level }) => level)).toEqual([taken ? "info" : "warn"]);
  });

  test.each([
    { rule: "get is not allowed", method: "GET", status: 403, says: /RBAC.*get configmaps "signet-ca-roots"/ },
    { rule: "create is not allowed", method: "POST", status: 403, says: /RBAC.*create configmaps in namespace/ },
    { rule: "the API server is busy", method: "GET", status: 503, says: /answers 503/ },
  ])(
    "while $rule it is told once, with longer and longer pauses, and again when it is over",
    async ({ method, status, says }) => {
      fake.trick = (request) => (request.method === method ? { status, body: "{}" } : undefined);
      const { publisher, logger } = replica(1, first);
      const pauses: number[] = [];
      for (let n = 0; n < 6; n++) pauses.push(await publisher.look());
      expect(pauses[0]).toBeLessThanOrEqual(0.5);
      expect(pauses[5]).toBeGreaterThanOrEqual(8);
      expect(logger.lines).toMatchObject([{ level: "warn", error: expect.stringMatching(says) }]);
      fake.trick = () => undefined;
      expect(await publisher.look()).toBe(30);
      expect(logger.lines).toMatchObject([{ level: "warn" }, { level: "info", message: "the roots are published" }]);
    },
  );

  test("waits while there is no bundle", async () => {
    const { publisher, state } = replica(1);
    state.content = { version: 1, sequence: 0, authorities: [] };
    expect(await publisher.look()).toBe(30);
    expect(fake.requests).toEqual([]);
  });
});
