import { compose } from "@signet/ca/compose";
import { type Config, parseConfig } from "@signet/ca/config";
import { kvEntryOf } from "@signet/ca/config/location";
import { openRateLimiter } from "@signet/ca/entry/cloudflare/rate-limiter";
import { openSink } from "@signet/ca/entry/cloudflare/sinks";
import { openText } from "@signet/ca/entry/cloudflare/text-sources";
import { webCrypto } from "@signet/ca/webcrypto";
import { asSignetError } from "@signet/shared/errors";

/** What counts here of an environment in `wrangler.jsonc`, as wrangler reads it. */
export interface WorkerConfig {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly secrets?: { readonly required?: readonly string[] } | undefined;
  readonly kv_namespaces: readonly { readonly binding: string }[];
  readonly queues: { readonly producers?: readonly { readonly binding: string }[] | undefined };
  readonly analytics_engine_datasets: readonly { readonly binding: string }[];
  readonly ratelimits: readonly {
    readonly name: string;
    readonly simple: { readonly limit: number; readonly period: number };
  }[];
  readonly routes?: readonly unknown[] | undefined;
}

const variable = "SIGNET_CONFIG";
// Of one variable, on every plan.
const maxVariableBytes = 5_000;

/** Everything for which the Worker would not serve, or not as it is configured to; before anything is uploaded. */
export function faultsOfWorker(worker: WorkerConfig): readonly string[] {
  const value = worker.vars[variable];
  if (value === undefined) return [`vars.${variable}: missing; it is the CA's configuration`];
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.startsWith("kv:")) return faultsOfEntry(worker, text);
  const size = new TextEncoder().encode(text).length;
  const faults = faultsOfConfig(worker, text);
  if (size <= maxVariableBytes) return faults;
  const most = `${size} bytes, and a variable has ${maxVariableBytes} at most`;
  return [`vars.${variable}: ${most}; put it into KV and name it as kv:BINDING/KEY`, ...faults];
}

/** What a user of the template has to replace: names under example.com (RFC 2606). */
export function placeholdersOf({ vars, routes = [] }: WorkerConfig): readonly string[] {
  const names = JSON.stringify([vars[variable], routes]).match(/[a-z0-9.:/-]*\bexample\.com[a-z0-9.:/-]*/g) ?? [];
  return [...new Set(names)];
}

function faultsOfEntry({ kv_namespaces: namespaces }: WorkerConfig, location: string): readonly string[] {
  const entry = kvEntryOf(location);
  if (entry === undefined) return [`vars.${variable}: must be JSON or kv:BINDING/KEY`];
  if (namespaces.some(({ binding }) => binding === entry.binding)) return [];
  return [`vars.${variable}: there is no KV namespace bound as ${entry.binding}`];
}

function faultsOfConfig(worker: WorkerConfig, text: string): readonly string[] {
  const secrets = new Set<string>();
  try {
    const config = parseConfig(text, `vars.${variable}`);
    const env = bindingsOf(worker);
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    compose(config, `vars.${variable}`, {
      clock: () => Date.now() / 1000,
      setTimer: () => () => {},
      fetch: () => Promise.reject(new Error("nothing is asked while the configuration is checked")),
      logger,
      crypto: webCrypto,
      open(location) {
        if (location.startsWith("env:")) secrets.add(location.slice("env:".length));
        return openText(env, location);
      },
      clusterIssuer: undefined,
      openSink: (sink) => openSink(env, sink),
      openRateLimiter: (binding, rate) => openRateLimiter(env, binding, rate, logger),
      waitUntil: () => {},
    });
    return [...faultsOfSecrets(worker, secrets), ...faultsOfRates(worker, config)];
  } catch (error) {
    return [asSignetError(error, "config-invalid").message];
  }
}

/** Bindings of the right kinds under their names, that do nothing. */
function bindingsOf({
  kv_namespaces: namespaces,
  queues,
  analytics_engine_datasets: datasets,
  ratelimits,
}: WorkerConfig): Readonly<Record<string, unknown>> {
  const named = (names: readonly string[], binding: object) => names.map((name) => [name, binding] as const);
  return Object.fromEntries([
    ...named(
      namespaces.map(({ binding }) => binding),
      { get: async () => null },
    ),
    ...named(
      (queues.producers ?? []).map(({ binding }) => binding),
      { sendBatch: async () => {} },
    ),
    ...named(
      datasets.map(({ binding }) => binding),
      { writeDataPoint: () => {} },
    ),
    ...named(
      ratelimits.map(({ name }) => name),
      { limit: async () => ({ success: true }) },
    ),
  ]);
}

function faultsOfSecrets({ secrets, vars }: WorkerConfig, names: ReadonlySet<string>): readonly string[] {
  return [...names].flatMap((name) => {
    if (name in vars)
      return [`vars.${name}: what the configuration reads from env:${name} is a secret, not a variable`];
    if (secrets?.required?.includes(name)) return [];
    return [`secrets.required: ${name} is missing; the configuration reads env:${name}`];
  });
}

/** The binding is what counts; a configuration that says something else would mislead who reads it. */
function faultsOfRates({ ratelimits }: WorkerConfig, { rateLimits }: Config): readonly string[] {
  return Object.entries(rateLimits).flatMap(([path, limit]) => {
    const bound = ratelimits.find(({ name }) => name === limit?.binding);
    if (limit === undefined || bound === undefined) return [];
    const { limit: certificates, period } = bound.simple;
    if (certificates === limit.certificates && period === limit.per) return [];
    const said = `${limit.certificates} in ${limit.per}s`;
    return [`rateLimits.${path}: says ${said}, but the binding ${bound.name} counts ${certificates} in ${period}s`];
  });
}
