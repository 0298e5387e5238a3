import { generateKeyPairSync } from "node:crypto";
import { CompactSign } from "jose";
import { describe, expect, test } from "vitest";
import { madeIssuer } from "../../../test/support/made-issuer.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { authenticate, authenticateAgent, authenticateWorkload } from "./caller.ts";
import { JwkSet } from "./jwk-set.ts";
import { fixedKeys } from "./key-source.ts";
import { TokenVerifier } from "./service-account.ts";

const start = 1_762_000_000;
const agents = new Set(["signet-system/agent"]);
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = fixedKeys(JwkSet.parse({ keys: [publicKey.export({ format: "jwk" })] }));

/** One issuer that binds pods to nodes, and one of older clusters that does not. */
const bound = madeIssuer({ issuer: "https://bound", agents, keys });
const unbound = madeIssuer({ issuer: "https://unbound", agents: "off", keys });
const verifierOf = (...issuers: (typeof bound)[]) => new TokenVerifier(issuers, () => start, nodeCrypto);

interface Pod {
  readonly iss?: string;
  readonly account?: string;
  readonly node?: string | undefined;
}

async function tokenOf({ iss = bound.issuer, account = "foo/sleep", node = "node-1" }: Pod = {}): Promise<string> {
  const [namespace, name] = account.split("/");
  const claims = {
    ...{ iss, aud: ["signet-ca"], sub: `system:serviceaccount:${namespace}:${name}` },
    ...{ iat: start, nbf: start, exp: start + 3_600 },
    "kubernetes.io": {
      namespace,
      pod: { name: `${name}-1`, uid: `pod-${name}` },
      serviceaccount: { name, uid: "account" },
      ...(node !== "none" && { node: { name: node, uid: node } }),
    },
  };
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256" })
    .sign(privateKey);
}
const agentToken = (changes: Pod = {}) => tokenOf({ account: "signet-system/agent", ...changes });

describe("an issuer with node binding", () => {
  test("both tokens, of one node", async () => {
    const caller = await authenticate({ workload: await tokenOf(), node: await agentToken() }, verifierOf(bound));
    expect(caller).toMatchObject({ workload: { podUid: "pod-sleep" }, agent: { podUid: "pod-agent" } });
    expect(caller.issuer).toBe(bound);
    expect(caller.trustDomain).toBe(bound.trustDomain);
  });

  test.each<{ rule: string; workload?: Pod; node?: Pod }>([
    { rule: "an account that is no agent's", node: { account: "foo/agent" } },
    { rule: "an agent of another node", node: { node: "node-2" } },
    { rule: "a workload without a node, as before Kubernetes 1.30", workload: { node: "none" } },
    { rule: "an agent without a node", node: { node: "none" } },
    { rule: "both without a node", workload: { node: "none" }, node: { node: "none" } },
    { rule: "an agent that asks for itself", workload: { account: "signet-system/agent" } },
    { rule: "tokens of two issuers, even where both name the same node", node: { iss: "https://other" } },
  ])("refuse $rule", async ({ workload = {}, node = {} }) => {
    const verifier = verifierOf(bound, { ...bound, issuer: "https://other" });
    const tokens = { workload: await tokenOf(workload), node: await agentToken(node) };
    await expect(authenticate(tokens, verifier)).rejects.toMatchObject({ code: "node-not-entitled" });
  });

  test.each([
    { rule: "no token of the workload", workload: false, node: true },
    { rule: "no token of the agent", workload: true, node: false },
  ])("refuse $rule", async ({ workload, node }) => {
    const tokens = {
      workload: workload ? await tokenOf() : undefined,
      node: node ? await agentToken() : undefined,
    };
    await expect(authenticate(tokens, verifierOf(bound))).rejects.toMatchObject({ code: "token-missing" });
    const verifier = verifierOf(bound);
    const agent = authenticateAgent(tokens.node, verifier);
    await expect(agent.then((known) => authenticateWorkload(tokens.workload, known, verifier))).rejects.toMatchObject({
      code: "token-missing",
    });
  });
});

test("a refusal tells the log whose token was used where", async () => {
  const tokens = { workload: await tokenOf(), node: await agentToken({ node: "node-2" }) };
  await expect(authenticate(tokens, verifierOf(bound))).rejects.toThrow(
    "pod foo/sleep-1 (node-1, https://bound) was asked for by pod signet-system/agent-1 (node-2, https://bound)",
  );
  const stranger = { workload: await tokenOf(), node: await agentToken({ account: "foo/agent" }) };
  await expect(authenticate(stranger, verifierOf(bound))).rejects.toThrow(
    "it is of pod foo/agent-1 (node-1, https://bound)",
  );
});

describe("an issuer without node binding", () => {
  test("the agent's token is not looked at", async () => {
    const tokens = { workload: await tokenOf({ iss: unbound.issuer }), node: "no token" };
    expect(await authenticate(tokens, verifierOf(unbound))).toMatchObject({
      agent: undefined,
      workload: { namespace: "foo" },
    });
  });

  test("the workload's token is needed all the same", async () => {
    const tokens = { workload: undefined, node: await agentToken() };
    await expect(authenticate(tokens, verifierOf(unbound))).rejects.toMatchObject({ code: "token-missing" });
  });
});

describe("issuers with and without node binding at one CA", () => {
  const verifier = verifierOf(bound, unbound);

  test.each([
    { rule: "no agent", node: async () => undefined },
    {
      rule: "an agent of its own cluster, whose token names no node",
      node: () => agentToken({ iss: unbound.issuer, node: "none" }),
    },
    { rule: "an agent of the other cluster", node: () => agentToken() },
  ])("a workload of the one without comes with $rule", async ({ node }) => {
    const tokens = { workload: await tokenOf({ iss: unbound.issuer, node: "none" }), node: await node() };
    const caller = await authenticate(tokens, verifier);
    expect(caller.issuer).toBe(unbound);
    expect(caller.agent).toBeUndefined();
  });

  test.each([
    { rule: "no agent", node: async () => undefined },
    {
      rule: "an agent of the cluster without, whatever node it names",
      node: () => agentToken({ iss: unbound.issuer }),
    },
    { rule: "an agent of another node", node: () => agentToken({ node: "node-2" }) },
  ])("a workload of the one with it is refused with $rule", async ({ node }) => {
    const tokens = { workload: await tokenOf(), node: await node() };
    await expect(authenticate(tokens, verifier)).rejects.toMatchObject({ code: "node-not-entitled" });
  });

  test("an agent's token that is sent has to hold", async () => {
    const tokens = { workload: await tokenOf({ iss: unbound.issuer }), node: "no token" };
    await expect(authenticate(tokens, verifier)).rejects.toMatchObject({ code: "token-not-accepted" });
  });
});
