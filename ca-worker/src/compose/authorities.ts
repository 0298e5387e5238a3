import { TrustDomain } from "@signet/shared/spiffe-id";
import { AuthoritySource } from "../authority/source.ts";
import { AuthoritySources } from "../authority/sources.ts";
import type { Platform } from "../compose.ts";
import type { Config } from "../config.ts";

/** Adds to `faults`, and gives undefined, where a store is of no kind that the platform has. */
export function composeAuthorities(
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
    const parsed = TrustDomain.parse(name);
    return new AuthoritySource({
      ...{ store, crypto, clock, logger },
      trustDomain: parsed,
      refreshHintSeconds: trustBundle.refreshHint,
    });
  };
  const own = sourceOf(trustDomain, authority.store, "authority");
  const others = trustDomains.flatMap(
    ({ name, authority: { store } }, index) => sourceOf(name, store, `trustDomains.${index}.authority`) ?? [],
  );
  return own && new AuthoritySources(own, others);
}
