import { afterEach, beforeEach, expect, test } from "vitest";
import { examine, mendOf, problem, type StoodUp, Surroundings } from "./doctor-world.ts";

let here: Surroundings;
let ca: StoodUp;
beforeEach(async () => {
  here = new Surroundings();
  ca = await here.ca();
});
afterEach(() => here.end());

const look = (more: Record<string, string> = {}) =>
  examine({ flags: { caUrl: ca.url, trustDomain: "cluster.local", socket: here.at("s"), admin: "off", ...more } });
const issuer = (trustDomain: string, accountPath?: string) => ({
  ...{ issuer: `https://${accountPath}`, audiences: ["signet-ca"], algorithms: ["RS256"], trustDomain, accountPath },
  ...{ maxTokenLifetimeSeconds: 3_600, keys: { keys: [] } },
});

test("a CA that names accounts otherwise than the agent", async () => {
  const path = "/eu/{namespace}/{serviceAccount}";
  ca.answers["/v1/token-issuers"] = { body: { issuers: [issuer("cluster.local", path), issuer("elsewhere")] } };
  const examined = await look();
  expect(examined.sections.CA?.join()).toContain(
    `fail the CA names accounts ${path}, the agent /ns/{namespace}/sa/{serviceAccount}`,
  );
  expect(mendOf(examined, "the CA names accounts")).toContain(`--account-path '${path}'`);
  expect((await look({ accountPath: path })).text).not.toContain("names accounts");
});

test.each([
  ["does not say, as an older one", { issuers: [issuer("cluster.local")] }],
  ["says so of another trust domain", { issuers: [issuer("elsewhere", "/{namespace}/{serviceAccount}")] }],
  ["says something else", "<html>"],
])("a CA that %s is not judged by it", async (_, body) => {
  ca.answers["/v1/token-issuers"] = { body };
  expect((await look()).text).not.toContain("names accounts");
});

test("a CA is asked for the bundle of the agent's trust domain, and told of where it does not serve that", async () => {
  await look({ trustDomain: "edge.example.com" });
  expect(ca.asked).toContain("/v1/trust-bundle?trustDomain=edge.example.com");
  ca.answers["/v1/trust-bundle"] = problem(404, "not-found");
  const examined = await look();
  expect(examined.sections.CA?.join()).toContain("fail the CA does not serve the trust domain cluster.local");
  expect(mendOf(examined, "the CA does not serve")).toContain(
    "hold --trust-domain against trustDomain and trustDomains",
  );
});

test("a CA that can sign for other trust domains only is not ready", async () => {
  const trustDomains = [{ trustDomain: "a" }, { trustDomain: "cluster.local", reason: "no authority is active" }];
  ca.answers["/readyz"] = { body: { status: "ready", trustDomains } };
  expect((await look()).sections.CA?.join()).toContain(
    "fail /readyz answers 200, but not for cluster.local: no authority is active",
  );
  expect((await look({ trustDomain: "a" })).sections.CA?.join()).toContain("ok /readyz answers 200, in");
});
