import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { unstable_readConfig } from "wrangler";
import { repoRoot } from "../support/repo.ts";
import { faultsOfWorker, placeholdersOf, type WorkerConfig } from "../tools/worker-config.ts";

const worker: WorkerConfig = unstable_readConfig(
  { config: join(repoRoot, "ca-worker/wrangler.jsonc"), env: "production" },
  { hideWarnings: true },
);
const document = worker.vars.SIGNET_CONFIG as object;
const withConfig = (more: object) => ({ vars: { SIGNET_CONFIG: { ...document, ...more } } });

describe("a Worker is not deployed", () => {
  test.each<{ fault: string; change: Partial<WorkerConfig>; tells: string }>([
    { fault: "without a configuration", change: { vars: {} }, tells: "vars.SIGNET_CONFIG: missing" },
    {
      fault: "with one that is none",
      change: { vars: { SIGNET_CONFIG: "{" } },
      tells: "vars.SIGNET_CONFIG is not a valid configuration",
    },
    {
      fault: "with one that is valid elsewhere only",
      change: withConfig({ authority: { store: "kubernetes:a/b" } }),
      tells: 'authority.store: "kubernetes:a/b" cannot be used on this platform',
    },
    {
      fault: "with one that a variable cannot hold",
      change: withConfig({
        issuers: Array(60)
          .fill(0)
          .map((_, n) => issuerOf(n)),
      }),
      tells: "put it into KV",
    },
    { fault: "with a KV namespace too few", change: { kv_namespaces: [] }, tells: "kv:SIGNET_KV/deny-list.json" },
    {
      fault: "with a queue too few",
      change: { queues: {} },
      tells: 'audit.sinks.1.binding: there is no queue "AUDIT_QUEUE"',
    },
    {
      fault: "with a queue where a dataset should be",
      change: {
        analytics_engine_datasets: [],
        queues: { producers: [{ binding: "AUDIT_FIGURES" }, { binding: "AUDIT_QUEUE" }] },
      },
      tells: 'audit.sinks.2.binding: there is no analytics "AUDIT_FIGURES"',
    },
    {
      fault: "with a rate that is not the binding's",
      change: {
        ratelimits: worker.ratelimits.map((rate) => ({ ...rate, simple: { limit: 60, period: 10 } })),
      },
      tells: "rateLimits.perNode: says 600 in 60s, but the binding NODE_RATE counts 60 in 10s",
    },
    { fault: "with a rate limit too few", change: { ratelimits: [] }, tells: 'rate-limit binding "NODE_RATE"' },
    {
      fault: "with a secret that nobody was told of",
      change: { secrets: {} },
      tells: "secrets.required: SIGNET_AUTHORITY",
    },
    {
      fault: "with a secret as a variable, for all to read",
      change: { vars: { ...worker.vars, SIGNET_AUTHORITY: "{}" } },
      tells: "vars.SIGNET_AUTHORITY: what the configuration reads from env:SIGNET_AUTHORITY is a secret",
    },
    {
      fault: "with a configuration in a namespace that is not bound",
      change: { vars: { SIGNET_CONFIG: "kv:OTHER/ca.jsonc" } },
      tells: "there is no KV namespace bound as OTHER",
    },
    { fault: "with a KV entry that is none", change: { vars: { SIGNET_CONFIG: "kv:OTHER" } }, tells: "kv:BINDING/KEY" },
  ])("$fault", ({ change, tells }) => {
    expect(faultsOfWorker({ ...worker, ...change }).join("\n")).toContain(tells);
  });

  test("with the template's own names", () => {
    expect(placeholdersOf(worker)).toEqual([
      "prod.example.com",
      "https://oidc.example.com/production",
      "ca.example.com",
    ]);
  });
});

test("a configuration may be kept in a KV namespace that is bound", () => {
  expect(faultsOfWorker({ ...worker, vars: { SIGNET_CONFIG: "kv:SIGNET_KV/ca.jsonc" } })).toEqual([]);
});

function issuerOf(n: number): object {
  return { issuer: `https://oidc.example.com/cluster-number-${n}`, audiences: ["signet-ca"], keys: "discovery" };
}
