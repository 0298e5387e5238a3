import { batchAnswer, nodeTokenHeader, refusedResult } from "@signet/shared/ca-api";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaInProcess } from "../support/ca-in-process.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { holdToDocument } from "./hold-to-document.ts";

const issuer = await TokenIssuer.create();
const otherIssuer = await TokenIssuer.create("https://other.example.com");

/** A cluster's node with an agent and a pod on it. */
function nodeOf(cluster: TokenIssuer, name: string, node = makeNode(name)) {
  const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
  const pod = makePod("foo", "sleep", node);
  return { agentToken: () => cluster.token(agent), podToken: () => cluster.token(pod) };
}
type Node = ReturnType<typeof nodeOf>;

async function startCa(rateLimits: object, more: object = {}) {
  const config = caConfig({ keys: issuer.jwks });
  const issuers = [
    ...config.issuers,
    { issuer: otherIssuer.issuer, audiences: config.issuers[0]?.audiences, keys: otherIssuer.jwks },
  ];
  const state = { now: Date.now() / 1000 };
  const ca = await startCaInProcess({ ...config, issuers, rateLimits, ...more }, { clock: () => state.now });
  const fetch = await holdToDocument(ca);
  const post = async (path: string, headers: Record<string, string>, body: unknown) =>
    fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const ask = async (node: Node, { token = node.podToken(), agent = node.agentToken(), csr = makeCsr() } = {}) => {
    const headers = { authorization: `Bearer ${await token}`, [nodeTokenHeader]: await agent };
    const response = await post("/v1/certificates", headers, { csr });
    const retryAfter = response.headers.get("retry-after");
    return retryAfter === null ? `${response.status}` : `${response.status} after ${retryAfter}`;
  };
  const askBatch = async (node: Node, count: number) => {
    const requests = await Promise.all(
      Array.from({ length: count }, async () => ({ token: await node.podToken(), csr: makeCsr() })),
    );
    const response = await post("/v1/certificates/batch", { [nodeTokenHeader]: await node.agentToken() }, { requests });
    expect(response.status).toBe(200);
    const results = v.parse(batchAnswer, await response.json()).results;
    return results.map((result) => {
      const refused = v.safeParse(refusedResult, result);
      if (!refused.success) return "201";
      expect(refused.output.problem.type).toBe("urn:signet:problem:rate-limited");
      return `${refused.output.status} after ${refused.output.retryAfterSeconds}`;
    });
  };
  return { state, ca, ask, askBatch };
}

describe("the rate of a node", () => {
  test("is told truly: what is refused is served after the time that it says, and not before", async () => {
    const { ask, state } = await startCa({ perNode: { certificates: 2, per: "1m" } });
    const node = nodeOf(issuer, "node-1");
    expect([await ask(node), await ask(node), await ask(node)]).toEqual(["201", "201", "429 after 30"]);
    state.now += 29;
    expect(await ask(node)).toBe("429 after 1");
    state.now += 1;
    expect([await ask(node), await ask(node)]).toEqual(["201", "429 after 30"]);
  });

  test("is its own: another node of the cluster, and one of the same uid in another cluster, are served", async () => {
    const { ask } = await startCa({ perNode: { certificates: 1, per: "1m" } });
    const node = makeNode("node-1");
    const first = nodeOf(issuer, node.name, node);
    expect([await ask(first), await ask(first)]).toEqual(["201", "429 after 60"]);
    expect(await ask(nodeOf(issuer, "node-2"))).toBe("201");
    expect(await ask(nodeOf(otherIssuer, node.name, node))).toBe("201");
  });

  test("is not used up by who cannot prove to be its agent, nor by what is refused for its tokens", async () => {
    const { ask } = await startCa({ perNode: { certificates: 1, per: "1m" } });
    const [mine, theirs] = [nodeOf(issuer, "node-1"), nodeOf(issuer, "node-2")];
    const forged = (await theirs.agentToken()).replace(/.{20}$/, "A".repeat(20));
    expect(await ask(theirs, { agent: Promise.resolve(forged) })).toBe("401");
    // A pod's own token in the agent's place, and an agent that asks for a pod of another node.
    expect(await ask(theirs, { agent: theirs.podToken() })).toBe("403");
    expect(await ask(theirs, { agent: mine.agentToken() })).toBe("403");
    expect(await ask(theirs)).toBe("201");
  });

  test("is used up by its batches item by item; who waits behind others is told to wait longer", async () => {
    const { askBatch, ask, state } = await startCa({ perNode: { certificates: 3, per: "30s" } });
    const node = nodeOf(issuer, "node-1");
    expect(await askBatch(node, 6)).toEqual(["201", "201", "201", "429 after 10", "429 after 20", "429 after 30"]);
    expect(await ask(node)).toBe("429 after 10");
    state.now += 20;
    expect(await askBatch(node, 3)).toEqual(["201", "201", "429 after 10"]);
  });

  test("counts a pod by the node of its own token where no agent asks", async () => {
    const { ask } = await startCa({ perNode: { certificates: 1, per: "1m" } }, { nodeBinding: "off" });
    const [first, second] = [nodeOf(issuer, "node-1"), nodeOf(issuer, "node-2")];
    expect([await ask(first), await ask(first), await ask(second)]).toEqual(["201", "429 after 60", "201"]);
  });
});

describe("the rate of an issuer", () => {
  test("is shared by its nodes and by nobody else's", async () => {
    const { ask } = await startCa({ perIssuer: { certificates: 2, per: "1m" } });
    expect(await ask(nodeOf(issuer, "node-1"))).toBe("201");
    expect(await ask(nodeOf(issuer, "node-2"))).toBe("201");
    expect(await ask(nodeOf(issuer, "node-3"))).toBe("429 after 30");
    expect(await ask(nodeOf(otherIssuer, "node-1"))).toBe("201");
  });

  test("is not used up by what one node is refused", async () => {
    const rate = { perNode: { certificates: 1, per: "1m" }, perIssuer: { certificates: 2, per: "1m" } };
    const { ask } = await startCa(rate);
    const greedy = nodeOf(issuer, "node-1");
    for (let n = 0; n < 5; n++) await ask(greedy);
    expect(await ask(nodeOf(issuer, "node-2"))).toBe("201");
  });
});

test("without a limit there is none", async () => {
  const { askBatch } = await startCa({});
  expect(new Set(await askBatch(nodeOf(issuer, "node-1"), 32))).toEqual(new Set(["201"]));
});

test("the log says whose rate it was, and the answer does not", async () => {
  const { ask, ca } = await startCa({ perNode: { certificates: 1, per: "1m" } });
  const node = nodeOf(issuer, "node-1");
  await ask(node);
  await ask(node);
  expect(ca.tail()).toContain("the rate of the caller's node is used up");
});
