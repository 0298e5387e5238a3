import type { Clock, Fetch, Logger, SetTimer } from "@signet/shared/deps";
import { configError } from "@signet/shared/faults";
import type { AppDeps } from "./app.ts";
import type { AuditSink } from "./audit/sink.ts";
import type { FetchTrusting } from "./authenticate/review-call.ts";
import { TokenVerifier } from "./authenticate/service-account.ts";
import { type ComposedAudit, composeAudit } from "./compose/audit.ts";
import { composeAuthorities } from "./compose/authorities.ts";
import { composeIssuers } from "./compose/issuers.ts";
import { composePolicy } from "./compose/policy.ts";
import { composeRateLimits } from "./compose/rate-limits.ts";
import type { BindingSink } from "./config/audit.ts";
import type { Config } from "./config.ts";
import type { Crypto } from "./crypto.ts";
import type { Rate, RateLimiter } from "./rate-limit/limiter.ts";
import { RecentCertificates } from "./repeat/recent.ts";
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
  readonly setTimer: SetTimer;
  readonly fetch: Fetch;
  readonly logger: Logger;
  readonly crypto: Crypto;
  /** The text at a location (config/location.ts); undefined where the platform has none of that kind. */
  open(location: string): TextSource | undefined;
  /**
   * Names of the CA's own https certificate where its own authority signs that one: no workload gets any of them, or it
   * could stand between agents and the CA.
   */
  readonly ownDnsNames?: readonly string[] | undefined;
  /** The issuer `in-cluster`; undefined where there is no cluster around, or where no issuer asks for it. */
  readonly clusterIssuer: ClusterIssuer | undefined;
  /** Requests to servers with a certificate of a private authority; a platform without it knows public ones only. */
  readonly fetchTrusting?: FetchTrusting | undefined;
  /** A sink that is a binding of this platform; undefined where it has none of that kind and name. */
  openSink?(sink: BindingSink): AuditSink | undefined;
  /** A binding that counts for all instances; undefined where the platform has none of that name. */
  openRateLimiter?(binding: string, rate: Rate): RateLimiter | undefined;
  /**
   * Lets `work` go on after the request that began it was answered. A platform that needs to be told also forbids one
   * request to wait for what another one has begun (Workers).
   */
  waitUntil?(work: Promise<unknown>): void;
}

/** {@link ComposedAudit.auditSinks}: whoever ends an instance, or lets it freeze, flushes them first. */
export type Composed = AppDeps & ComposedAudit;

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
  const limits = composeRateLimits(config, platform, faults);
  const audit = composeAudit(config, platform, faults);
  if (authorities === undefined || faults.length > 0) throw configError(source, faults);

  return {
    issuers,
    verifier: new TokenVerifier(issuers, clock, crypto),
    policy,
    authorities,
    limits,
    recent: new RecentCertificates({ clock, mayWait: platform.waitUntil === undefined }),
    crypto,
    ...audit,
    setTimer: platform.setTimer,
    logger,
  };
}
