import type { Clock, Fetch, Logger } from "@signet/shared/deps";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import type { AppDeps } from "./app.ts";
import { type OpenAudit, openAudit } from "./audit/open.ts";
import type { AuditSink } from "./audit/sink.ts";
import { TokenVerifier } from "./authenticate/service-account.ts";
import { AuthoritySource } from "./authority/source.ts";
import { AuthoritySources } from "./authority/sources.ts";
import { composeIssuers } from "./compose/issuers.ts";
import { composePolicy } from "./compose/policy.ts";
import type { BindingSink } from "./config/audit.ts";
import type { Config } from "./config.ts";
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
  /** The text at a location (config/location.ts); undefined where the platform has none of that kind. */
  open(location: string): TextSource | undefined;
  /** The issuer `in-cluster`; undefined where there is no cluster around, or where no issuer asks for it. */
  readonly clusterIssuer: ClusterIssuer | undefined;
  /** A sink that is a binding of this platform; undefined where it has none of that kind and name. */
  openSink?(sink: BindingSink): AuditSink | undefined;
  /**
   * Lets `work` go on after the request that began it was answered. A platform that needs to be told also forbids one
   * request to wait for what another one has begun (Workers).
   */
  waitUntil?(work: Promise<unknown>): void;
}

/** {@link OpenAudit.auditSinks}: whoever ends an instance, or lets it freeze, flushes them first. */
export type Composed = AppDeps & OpenAudit;

/**
 * Everything the app needs, from a valid configuration and a platform.
 * @throws SignetError `config-invalid` for what this platform can't do
 */
export function compose(config: Config, source: string, platform: Platform): Composed {
  const { clock, logger, crypto } = platform;
  const faults: string[] = [];
  const authorities = composeAuthorities(config, platform, faults);
  const issuers = composeIssuers(config, platform, faults);
  const policy = composePolicy(config, platform, faults);
  const audit = openAudit(config.audit, platform, faults);
  if (authorities === undefined || faults.length > 0) throw configError(source, faults);

  return {
    issuers,
    verifier: new TokenVerifier(issuers, clock, crypto),
    policy,
    authorities,
    crypto,
    ...audit,
    logger,
  };
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
