import { Agenda } from "@signet/node-agent/agenda";
import { TrustBundleStore } from "@signet/node-agent/ca/bundle";
import { CaClient } from "@signet/node-agent/ca/client";
import { Metrics } from "@signet/node-agent/metrics";
import { createIssue } from "@signet/node-agent/svid/issue";
import type { Logger } from "@signet/shared/deps";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaProcess } from "../support/ca-process.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { median, threadSecondsOf } from "./cpu.ts";

const workloads = 500;
const rounds = 5;
const sizes = [1, 8, 16, 32, 64];
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Cost {
  /** Milliseconds of CPU for one certificate. */
  readonly agent: number;
  readonly ca: number;
  /** Milliseconds until all are there. */
  readonly all: number;
}

/** What a certificate costs the agent, its key and all checks included, and the CA, by the most that go in one request. */
export async function benchBatches(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const node = makeNode("node-1");
  const nodeToken = await issuer.token(makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
  const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  const tokens = await Promise.all(
    Array.from({ length: workloads }, (_, n) => issuer.token(makePod("bench", `account-${n}`, node))),
  );
  const costs = new Map<number, Cost[]>(sizes.map((size) => [size, []]));
  try {
    // The first round warms both up.
    for (let round = 0; round <= rounds; round++) {
      for (const size of sizes) {
        const cost = await oneRun({ url: ca.url, pid: ca.pid ?? 0 }, nodeToken, tokens, size);
        if (round > 0) costs.get(size)?.push(cost);
      }
    }
  } finally {
    await ca.stop();
    await folder.remove();
  }
  console.log(`Batches: ${workloads} certificates asked for at once, CPU for each`);
  for (const [size, runs] of costs) {
    const middle = (read: (cost: Cost) => number) => median(runs.map(read));
    console.log(
      `  at most ${String(size).padStart(2)} in one request: agent ${middle(({ agent }) => agent).toFixed(3)} ms, ` +
        `CA ${middle(({ ca: ms }) => ms).toFixed(3)} ms; all after ${middle(({ all }) => all).toFixed(0)} ms`,
    );
  }
}

async function oneRun(
  ca: { readonly url: string; readonly pid: number },
  nodeToken: string,
  tokens: readonly string[],
  maxBatch: number,
): Promise<Cost> {
  const deps = {
    now: () => Date.now() / 1_000,
    monotonic: () => performance.now() / 1_000,
    random: Math.random,
    setTimer: (run: () => void, milliseconds: number) => {
      const timer = setTimeout(run, milliseconds);
      return () => clearTimeout(timer);
    },
    log: silent,
    metrics: new Metrics(),
  };
  const agenda = new Agenda(deps);
  const trustDomain = TrustDomain.parse("cluster.local");
  const bundles = new TrustBundleStore(trustDomain, deps);
  const client = await CaClient.open({
    ...{ urls: [new URL(ca.url)], proxies: new Map(), pinnedCa: undefined, trustDomain, agenda, deps, maxBatch },
    nodeToken: { current: () => nodeToken, nodeUid: () => undefined },
  });
  const issue = createIssue({ client, bundles, ttlSeconds: undefined, deps });
  const caBefore = await threadSecondsOf(ca.pid);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await Promise.all(
    tokens.map((token, n) =>
      issue({ token, spiffeId: SpiffeId.parse(`spiffe://cluster.local/ns/bench/sa/account-${n}`) }),
    ),
  );
  const all = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuBefore);
  const caSeconds = (await threadSecondsOf(ca.pid)) - caBefore;
  client.close();
  agenda.stop();
  return { agent: (user + system) / 1_000 / tokens.length, ca: (caSeconds * 1_000) / tokens.length, all };
}
