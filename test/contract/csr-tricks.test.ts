import { batchAnswer, nodeTokenHeader } from "@signet/shared/ca-api";
import { publicKeyKinds } from "@signet/shared/public-key";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spiffeIdTricks } from "../support/csr-tricks/spiffe-ids.ts";
import { csrOddities, csrTricks } from "../support/csr-tricks/table.ts";
import { type Bench, platforms, startBench } from "./platforms.ts";

const tricks = [...csrTricks, ...spiffeIdTricks].map(({ rule, code, pem }) => ({ rule, code, csr: pem() }));
const oddities = csrOddities.map(({ rule, pem }) => ({ rule, code: undefined, csr: pem() }));
const result = v.object({
  status: v.number(),
  problem: v.optional(v.object({ type: v.string(), detail: v.optional(v.string()) })),
});

describe.each(platforms)("CSRs with tricks on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform, { leaf: { keys: [...publicKeyKinds] } });
  });
  afterAll(() => bench?.stop());

  async function ask(some: readonly { readonly csr: string }[]) {
    const { issuer, sleep, agent } = bench;
    const token = await issuer.token(sleep);
    const response = await bench.fetch("/v1/certificates/batch", {
      method: "POST",
      headers: { "content-type": "application/json", [nodeTokenHeader]: await issuer.token(agent) },
      body: JSON.stringify({ requests: some.map(({ csr }) => ({ token, csr })) }),
    });
    expect(response.status).toBe(200);
    return v.parse(batchAnswer, await response.json()).results.map((one) => v.parse(result, one));
  }

  test("are refused, each for what is wrong with it", async () => {
    const results = [];
    for (let at = 0; at < tricks.length; at += 128) results.push(...(await ask(tricks.slice(at, at + 128))));
    expect(results.map(({ problem }, at) => [tricks[at]?.rule, problem?.type])).toEqual(
      tricks.map(({ rule, code }) => [rule, `urn:signet:problem:${code}`]),
    );
    // Whoever reads the detail reads what to mend, and nothing of what was sent.
    for (const { problem } of results) expect(problem?.detail ?? "").toMatch(/^[\x20-\x7e]{0,200}$/);
  });

  test("are taken where they only look odd", async () => {
    const results = await ask(oddities);
    expect(results.map(({ status }, at) => [oddities[at]?.rule, status])).toEqual(
      oddities.map(({ rule }) => [rule, 201]),
    );
  });
});
