import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { caConfig } from "../support/ca-config.ts";
import { caAudience, TokenIssuer } from "../support/token-issuer.ts";
import { cpuPerRun, median } from "./cpu.ts";
import { appInProcess } from "./in-process.ts";
import { type Asked, Workloads } from "./workloads.ts";

const rounds = 15;
const perRound = 200;
const issuers = 200;
const rules = 10_000;
const entries = 10_000;

type App = (asked: Asked) => Promise<void>;

/** That a certificate costs the same however much is configured: each configuration against the smallest, interleaved. */
export async function benchGrowth(): Promise<void> {
  const issuer = await TokenIssuer.create();
  const plain = caConfig({ keys: issuer.jwks, store: "env:AUTHORITY" });
  const names = Array.from({ length: issuers }, (_, n) => `https://cluster-${n}.example.com`);
  const last = names.at(-1) ?? "";
  const denyList = ["env:DENY"];
  const texts = { "env:DENY": JSON.stringify(denied()) };
  const options = { crypto: nodeCrypto, texts };
  const manyIssuers = names.map((name) => ({ issuer: name, audiences: [caAudience], keys: issuer.jwks }));
  const own = await Workloads.make(issuer);
  const ofLast = await Workloads.make(issuer, last);
  const configurations: Readonly<Record<string, readonly [App, Workloads]>> = {
    "1 issuer, no rule": [await appInProcess(plain, options), own],
    "the same once more": [await appInProcess(plain, options), own],
    [`${issuers} issuers`]: [await appInProcess({ ...plain, issuers: manyIssuers }, options), ofLast],
    [`${rules} rules`]: [
      await appInProcess({ ...plain, policy: { default: "allow", rules: manyRules() } }, options),
      own,
    ],
    [`${entries} entries in each part of a deny list`]: [
      await appInProcess({ ...plain, policy: { default: "allow", denyLists: denyList } }, options),
      own,
    ],
  };
  const costs = new Map<string, number[]>(Object.keys(configurations).map((name) => [name, []]));
  for (let round = -2; round < rounds; round++) {
    for (const [name, [app, workloads]] of Object.entries(configurations)) {
      const ms = await cpuPerRun(() => app(workloads.single()), perRound, 16);
      if (round >= 0) costs.get(name)?.push(ms);
    }
  }
  console.log("CA: growth, CPU for each certificate through the app, as a multiple of the smallest configuration");
  const [base = []] = costs.values();
  for (const [name, list] of costs) {
    const ratio = median(list.map((ms, round) => ms / (base[round] ?? 1)));
    console.log(`  ${name}: ${median(list).toFixed(3)} ms, ratio ${ratio.toFixed(2)}`);
  }
}

/** Of every kind: exact names, beginnings, accounts anywhere; none of them is about the workloads of this bench. */
function manyRules(): object[] {
  return Array.from({ length: rules }, (_, n) => ({
    name: `rule-${n}`,
    effect: n % 2 === 0 ? "allow" : "deny",
    ...[
      { namespaces: [`team-${n}`] },
      { namespaces: [`ns-${n}-*`] },
      { serviceAccounts: [`account-${n}-*`], namespaces: ["ns-1", "ns-2"] },
      { namespaces: ["ns-*"], serviceAccounts: [`other-${n}`] },
    ][n % 4],
  }));
}

function denied(): object {
  const list = (entry: (n: number) => string) => Array.from({ length: entries }, (_, n) => entry(n));
  return {
    spiffeIds: list((n) => `spiffe://cluster.local/ns/gone/sa/account-${n}`),
    tokenIds: list((n) => `token-${n}`),
    podUids: list((n) => `pod-${n}`),
    nodeUids: list((n) => `node-${n}`),
  };
}
