import type { Clock, Fetch, Logger } from "@signet/shared/deps";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import type { AppDeps } from "./app.ts";
import { logAudit } from "./audit.ts";
import { discoverJwkSet, fetchJwkSet } from "./authenticate/fetch-keys.ts";
import { JwkSet } from "./authenticate/jwk-set.ts";
import { fixedKeys, type KeySource, LoadedKeys } from "./authenticate/key-source.ts";
import { type Issuer, TokenVerifier } from "./authenticate/service-account.ts";
import { AuthoritySource, type AuthorityStore } from "./authority/source.ts";
import type { Config, IssuerConfig } from "./config.ts";
import type { Crypto } from "./crypto.ts";

/** What a platform brings. */
export interface Platform {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly logger: Logger;
  readonly crypto: Crypto;
  /** The store of a `env:NAME` or `file:PATH`, or undefined where the platform has none of that kind. */
  store(location: string): AuthorityStore | undefined;
  /** Reads a file that the configuration names; undefined where there are no files. */
  readonly readFile: ((path: string) => Promise<string>) | undefined;
}

export interface Composed extends AppDeps {
  readonly issuers: readonly Issuer[];
}

/**
 * Everything the app needs, from a valid configuration and a platform.
 * @throws SignetError `config-invalid` for what this platform can't do
 */
export function compose(config: Config, source: string, platform: Platform): Composed {
  const { clock, logger, crypto } = platform;
  const faults: string[] = [];
  const trustDomain = TrustDomain.parse(config.trustDomain);
  const store = platform.store(config.authority.store);
  if (store === undefined) faults.push(`authority.store: "${config.authority.store}" cannot be used on this platform`);
  config.issuers.forEach(({ keys }, index) => {
    if (typeof keys === "string" && keys.startsWith("file:") && platform.readFile === undefined) {
      faults.push(`issuers.${index}.keys: there are no files on this platform; give the JWK Set itself or a URL`);
    }
  });
  if (store === undefined || faults.length > 0) throw configError(source, faults);

  const issuers = config.issuers.map(
    (issuer): Issuer => ({
      issuer: issuer.issuer,
      audiences: issuer.audiences,
      trustDomain: issuer.trustDomain === undefined ? trustDomain : TrustDomain.parse(issuer.trustDomain),
      algorithms: issuer.algorithms,
      maxTokenLifetimeSeconds: issuer.maxTokenLifetime,
      keys: keySource(issuer, platform),
    }),
  );
  return {
    issuers,
    verifier: new TokenVerifier(issuers, clock, crypto),
    agents: config.nodeBinding === "off" ? "off" : new Set(config.nodeBinding.agents),
    allowedKeys: config.leaf.keys,
    leaf: { defaultTtlSeconds: config.leaf.defaultTtl, maxTtlSeconds: config.leaf.maxTtl },
    authorities: new AuthoritySource({
      store,
      trustDomain,
      refreshHintSeconds: config.trustBundle.refreshHint,
      crypto,
      clock,
      logger,
    }),
    crypto,
    audit: logAudit(logger),
    logger,
  };
}

function keySource({ issuer, keys }: IssuerConfig, { clock, logger, fetch, readFile }: Platform): KeySource {
  if (typeof keys !== "string") return fixedKeys(JwkSet.parse(keys));
  const load = async (): Promise<unknown> => {
    if (keys === "discovery") return discoverJwkSet(fetch, issuer);
    if (!keys.startsWith("file:")) return fetchJwkSet(fetch, keys);
    return JSON.parse((await readFile?.(keys.slice("file:".length))) ?? "null");
  };
  return new LoadedKeys({ issuer, load, clock, logger });
}
