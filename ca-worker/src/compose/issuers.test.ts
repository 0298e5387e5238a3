import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FakeApiServer, startFakeApiServer } from "../../../test/support/api-server.ts";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { makeNode, makePod, TokenIssuer } from "../../../test/support/token-issuer.ts";
import { TokenVerifier } from "../authenticate/service-account.ts";
import type { Platform } from "../compose.ts";
import { parseConfig } from "../config.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { createFetchTrusting } from "../entry/node/fetch-trusting.ts";
import { fileSource } from "../entry/node/text-sources.ts";
import { composeIssuers } from "./issuers.ts";

const folder = mkdtempSync(join(tmpdir(), "signet-issuers-"));
let api: FakeApiServer;
let tokens: TokenIssuer;
beforeAll(async () => {
  api = await startFakeApiServer(folder);
  tokens = await TokenIssuer.create();
});
afterAll(async () => {
  await api.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  api.trick = () => undefined;
});

function composed(changes: object, platform: Partial<Platform> = {}) {
  const config = parseConfig(
    JSON.stringify({
      trustDomain: "cluster.local",
      authority: { store: "file:a" },
      issuers: [{ issuer: tokens.issuer, audiences: ["signet-ca"], keys: tokens.jwks, ...changes }],
      nodeBinding: { agents: ["mesh/agent"] },
    }),
    "ca.jsonc",
  );
  const faults: string[] = [];
  const clock = () => Date.now() / 1000;
  const issuers = composeIssuers(
    config,
    {
      ...{ clock, setTimer: () => () => {}, fetch, logger: makeLogger(), crypto: nodeCrypto, clusterIssuer: undefined },
      open: (location) => (location.startsWith("file:") ? fileSource(location.slice(5)) : undefined),
      fetchTrusting: createFetchTrusting(),
      ...platform,
    },
    faults,
  );
  return { faults, issuer: issuers[0], verifier: new TokenVerifier(issuers, clock, nodeCrypto) };
}

test("an issuer goes by the rules of the configuration unless it has its own", () => {
  const { issuer } = composed({});
  expect(issuer).toMatchObject({ namespaces: undefined, review: undefined, agents: new Set(["mesh/agent"]) });
  expect(issuer?.path.template).toBe("/ns/{namespace}/sa/{serviceAccount}");
  const own = composed({
    ...{ namespaces: ["foo", "team-*"], path: "/x/{serviceAccount}/{namespace}", nodeBinding: "off" },
  }).issuer;
  expect(own?.agents).toBe("off");
  expect(["foo", "team-a", "team-", "bar", "foo2"].map((name) => own?.namespaces?.has(name))).toEqual([
    ...[true, true, true, false, false],
  ]);
  expect(own?.path.idOf(TrustDomain.parse("td"), "foo", "sleep").toString()).toBe("spiffe://td/x/sleep/foo");
});

describe("token reviews", () => {
  const review = () => ({
    url: `https://127.0.0.1:${api.environment.KUBERNETES_SERVICE_PORT}`,
    token: `file:${join(folder, "token")}`,
    caCertificate: `file:${join(folder, "ca.crt")}`,
  });
  const pod = makePod("foo", "sleep", makeNode("node-1"));
  const status = () => ({
    authenticated: true,
    audiences: ["signet-ca"],
    user: {
      username: "system:serviceaccount:foo:sleep",
      extra: {
        "authentication.kubernetes.io/pod-uid": [pod.pod.uid],
        "authentication.kubernetes.io/node-uid": [pod.node.uid],
      },
    },
  });

  test("a token counts as long as the API server says so, and no other audience is asked for", async () => {
    api.review = ({ audiences }) => (audiences?.join() === "signet-ca" ? status() : { authenticated: false });
    const { verifier } = composed({ tokenReview: review() });
    const claims = { aud: ["signet-ca", "https://kubernetes.default.svc"] };
    await verifier.verify(await tokens.token(pod, { claims }));
    await verifier.verifyRepeated(await tokens.token(pod, { claims }));

    api.review = () => ({ authenticated: false, error: "service account token has been invalidated" });
    const dead = await tokens.token(pod);
    const refused = { code: "token-not-accepted" };
    await expect(verifier.verify(dead)).rejects.toMatchObject(refused);
    await expect(verifier.verifyRepeated(dead)).rejects.toMatchObject(refused);
    // Its signature is remembered by now: that alone lets nobody in.
    await expect(verifier.verifyRepeated(dead)).rejects.toMatchObject(refused);
  });

  test("an API server that cannot be asked refuses nobody and lets nobody in: the CA is unavailable", async () => {
    api.trick = () => "hang-up";
    const { verifier } = composed({ tokenReview: review() });
    await expect(verifier.verify(await tokens.token(pod))).rejects.toMatchObject({
      ...{ code: "issuer-unavailable", retryAfterSeconds: expect.any(Number) },
    });
  });

  test("a token that does not verify here is not even sent", async () => {
    api.requests.length = 0;
    const { verifier } = composed({ tokenReview: review() });
    const forged = await tokens.token(pod, { sign: "hs256-public-key" });
    await expect(verifier.verify(forged)).rejects.toMatchObject({ code: "token-not-accepted" });
    expect(api.requests).toEqual([]);
  });

  test("what the platform cannot do is a fault of the configuration, each by its key", () => {
    const { faults } = composed({ tokenReview: { ...review(), token: "env:REVIEWER" } }, { fetchTrusting: undefined });
    expect(faults).toEqual([
      expect.stringMatching(/^issuers\.0\.tokenReview\.token: "env:REVIEWER" cannot be used/),
      expect.stringMatching(/^issuers\.0\.tokenReview\.caCertificate: this platform knows public certificate/),
    ]);
  });
});
