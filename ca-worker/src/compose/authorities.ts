import { TrustDomain } from "@signet/shared/spiffe-id";
import { AuthoritySource } from "../authority/source.ts";
import { AuthoritySources } from "../authority/sources.ts";
import type { Platform } from "../compose.ts";
import { authoritiesOf } from "../config/trust-domains.ts";
import type { Config } from "../config.ts";
import { textAt } from "./text-at.ts";

/** Adds to `faults`, and gives undefined, where a store is of no kind that the platform has. */
export function composeAuthorities(config: Config, platform: Platform, faults: string[]): AuthoritySources | undefined {
  const { clock, crypto, logger, waitUntil } = platform;
  const [own, ...others] = authoritiesOf(config).map(({ trustDomain, store: location, path }) => {
    const store = textAt(platform, location, path, faults);
    if (store === undefined) return undefined;
    return new AuthoritySource({
      ...{ store, crypto, clock, logger, waitUntil },
      trustDomain: TrustDomain.parse(trustDomain),
      refreshHintSeconds: config.trustBundle.refreshHint,
    });
  });
  return (
    own &&
    new AuthoritySources(
      own,
      others.filter((source) => source !== undefined),
    )
  );
}
