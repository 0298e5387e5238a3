import type { Clock, Fetch, Logger } from "@signet/shared/deps";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import type { AppDeps } from "./app.ts";
import { logAudit } from "./audit.ts";
import { discoverJwkSet, fetchJwkSet } from "./authenticate/fetch-keys.ts";
import { JwkSet } from "./authenticate/jwk-set.ts";
import { fixedKeys, type KeySource, LoadedKeys } from "./authenticate/key-source.ts";
import { type Issuer, TokenVerifier } from "./authenticate/service-account.ts";
import { AuthoritySource } from "./authority/source.ts";
import { AuthoritySources } from "./authority/sources.ts";
import type { Policy } from "./authorize/policy.ts";
import { inCluster } from "./config/issuer.ts";
import type { Config, IssuerConfig } from "./config.ts";
import type { Crypto } from "./crypto.ts";
import type { TextSource } from "./text-source.ts";

/** The issuer that the API server of our own cluster is. */
export interface ClusterIssuer {
  /** `iss` of its tokens, as it says itself. */
  readonly name: string;
  /** Reads its JWK Set. */
  load(): Promise<unknown>;
}

/** What a platform brings. */
export interface Platform {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly logger: Logger;
  readonly crypto: Crypto;
  /** The text at `env:NAME`, `file:PATH` or `kubernetes:NAMESPACE/NAME`; undefined where the platform has none of that kind. */
  open(location: string): TextSource | undefined;
  /** The issuer `in-cluster`; undefined where there is no cluster around, or where no issuer asks for it. */
  readonly clusterIssuer: ClusterIssuer | undefined;
}

export type Composed = AppDeps;

/**
 * Everything the app needs, from a valid configuration and a platform.
 * @throws SignetError `config-invalid` for what this platform can't do
 */
export function compose(config: Config, source: string, platform: Platform): Composed {
  const { clock, logger, crypto } = platform;
  const faults: string[] = [];
  const trustDomain = TrustDomain.parse(config.trustDomain);
  const authorities = composeAuthorities(config, platform, faults);
  const issuers = config.issuers.flatMap((issuer, index): Issuer[] => {
    const source = issuerSource(issuer, platform);
    if ("fault" in source) {
      faults.push(`issuers.${index}.${source.fault}`);
      return [];
    }
    return [
      {
        issuer: source.name,
        audiences: issuer.audiences,
        trustDomain: issuer.trustDomain === undefined ? trustDomain : TrustDomain.parse(issuer.trustDomain),
        algorithms: issuer.algorithms,
        maxTokenLifetimeSeconds: issuer.maxTokenLifetime,
        keys: source.keys,
      },
    ];
  });
  // The configuration names no issuer twice; the cluster's own name is known only here.
  const cluster = platform.clusterIssuer?.name;
  if (issuers.filter(({ issuer }) => issuer === cluster).length > 1) {
    faults.push(`issuers: "${cluster}" stands twice: it is also what "${inCluster}" stands for`);
  }
  if (authorities === undefined || faults.length > 0) throw configError(source, faults);

  return {
    issuers,
    verifier: new TokenVerifier(issuers, clock, crypto),
    agents: config.nodeBinding === "off" ? "off" : new Set(config.nodeBinding.agents),
    policy: composePolicy(config),
    authorities,
    crypto,
    audit: logAudit(logger),
    logger,
  };
}

function composePolicy({ leaf: { keys, defaultTtl, maxTtl } }: Config): Policy {
  return { leaf: { keys, defaultTtlSeconds: defaultTtl, maxTtlSeconds: maxTtl } };
}

/** Adds to `faults`, and gives undefined, where a store is of no kind that the platform has. */
function composeAuthorities(
  { trustDomain, authority, trustDomains, trustBundle }: Config,
  { clock, crypto, logger, open }: Platform,
  faults: string[],
): AuthoritySources | undefined {
  const sourceOf = (name: string, location: string, path: string): AuthoritySource | undefined => {
    const store = open(location);
    if (store === undefined) {
      faults.push(`${path}.store: "${location}" cannot be used on this platform`);
      return undefined;
    }
    const refreshHintSeconds = trustBundle.refreshHint;
    return new AuthoritySource({
      store,
      trustDomain: TrustDomain.parse(name),
      refreshHintSeconds,
      crypto,
      clock,
      logger,
    });
  };
  const own = sourceOf(trustDomain, authority.store, "authority");
  const others = trustDomains.flatMap(
    ({ name, authority: { store } }, index) => sourceOf(name, store, `trustDomains.${index}.authority`) ?? [],
  );
  return own && new AuthoritySources(own, others);
}

type IssuerSource = { readonly name: string; readonly keys: KeySource } | { readonly fault: string };

/** An issuer's name and keys, or why this platform can't have them. */
function issuerSource(
  { issuer, keys }: IssuerConfig,
  { clock, logger, fetch, open, clusterIssuer }: Platform,
): IssuerSource {
  const loaded = (name: string, load: () => Promise<unknown>): IssuerSource => ({
    name,
    keys: new LoadedKeys({ issuer: name, load, clock, logger }),
  });
  if (keys === undefined) {
    if (clusterIssuer === undefined) {
      return { fault: `issuer: "${inCluster}" works on Node in a pod only; name the issuer and its keys` };
    }
    return loaded(clusterIssuer.name, () => clusterIssuer.load());
  }
  if (typeof keys !== "string") return { name: issuer, keys: fixedKeys(JwkSet.parse(keys)) };
  if (keys === "discovery") return loaded(issuer, () => discoverJwkSet(fetch, issuer));
  if (!keys.startsWith("file:")) return loaded(issuer, () => fetchJwkSet(fetch, keys));
  const file = open(keys);
  if (file === undefined) {
    return { fault: "keys: there are no files on this platform; give the JWK Set itself or a URL" };
  }
  return loaded(issuer, async () => JSON.parse(await file.read()));
}
