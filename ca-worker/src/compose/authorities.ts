import { TrustDomain } from "@signet/shared/spiffe-id";
import { AuthoritySource } from "../authority/source.ts";
import { AuthoritySources } from "../authority/sources.ts";
import type { Platform } from "../compose.ts";
import { authoritiesOf } from "../config/trust-domains.ts";
import type { Config } from "../config.ts";

/** Adds to `faults`, and gives undefined, where a store is of no kind that the platform has. */
export function composeAuthorities(
  config: Config,
  { clock, crypto, logger, open }: Platform,
  faults: string[],
): AuthoritySources | undefined {
  const [own, ...others] = authoritiesOf(config).map(({ trustDomain, store: location, path }) => {
    const store = open(location);
    if (store === undefined) {
      faults.push(`${path}: "${location}" cannot be used on this platform`);
      return undefined;
    }
    return new AuthoritySource({
      ...{ store, crypto, clock, logger },
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
