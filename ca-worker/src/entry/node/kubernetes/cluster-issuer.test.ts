import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FakeApiServer, startFakeApiServer, type Trick } from "../../../../../test/support/api-server.ts";
import { makeLogger } from "../../../../../test/support/test-logger.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../../test/support/work-folder.ts";
import { clusterAccess } from "./access.ts";
import { ApiServer } from "./api-server.ts";
import { discoverClusterIssuer } from "./cluster-issuer.ts";

let folder: WorkFolder;
let fake: FakeApiServer;
beforeEach(async () => {
  folder = await makeWorkFolder("issuer");
  fake = await startFakeApiServer(folder.path);
});
afterEach(async () => {
  await fake.stop();
  await folder.remove();
});
const discover = (patienceSeconds = 1) => {
  const access = clusterAccess({ environment: fake.environment, folder: folder.path, patienceSeconds }, "test");
  return discoverClusterIssuer(new ApiServer(access, "issuer-unavailable"), makeLogger(), patienceSeconds);
};

describe("the issuer in-cluster", () => {
  test("has the name that the API server says, and its keys", async () => {
    fake.keys = { keys: [{ kty: "RSA", kid: "a" }] };
    const { name, load } = await discover();
    expect(name).toBe("https://kubernetes.default.svc.cluster.local");
    expect(await load()).toEqual(fake.keys);
    // Both as the service account, and no other place than the API server's own.
    expect(fake.requests.map(({ path, token }) => ({ path, token }))).toEqual(
      ["/.well-known/openid-configuration", "/.well-known/openid-configuration", "/openid/v1/jwks"].map((path) => ({
        path,
        token: "first-token",
      })),
    );
  });

  test("comes when the API server comes", async () => {
    let failures = 0;
    fake.trick = () => (failures++ < 2 ? "hang-up" : undefined);
    expect((await discover(10)).name).toBe(fake.issuer);
  });

  test("gives no keys under a name that has changed", async () => {
    const { load } = await discover();
    fake.issuer = "https://another";
    await expect(load()).rejects.toMatchObject({
      code: "issuer-unavailable",
      message: expect.stringContaining("https://another"),
    });
  });

  test.each<{ rule: string; issuer?: unknown; trick?: Trick; says: RegExp }>([
    { rule: "is missing", issuer: undefined, says: /names no issuer/ },
    { rule: "is empty", issuer: "", says: /names no issuer/ },
    { rule: "is a number", issuer: 1, says: /names no issuer/ },
    { rule: "is a list", issuer: ["https://a"], says: /names no issuer/ },
    {
      rule: "may not be asked for",
      trick: { status: 403, body: "{}" },
      says: /system:service-account-issuer-discovery/,
    },
    { rule: "is not served", trick: { status: 404, body: "{}" }, says: /answers 404/ },
    { rule: "comes from something else", trick: { status: 200, body: "<html>" }, says: /no JSON object/ },
    { rule: "does not come", trick: "hang-up", says: /cannot be asked/ },
  ])("a name that $rule keeps the CA from starting", async ({ issuer, trick, says }) => {
    fake.issuer = issuer;
    fake.trick = () => trick;
    await expect(discover()).rejects.toMatchObject({
      code: "issuer-unavailable",
      message: expect.stringMatching(says),
    });
  });
});
