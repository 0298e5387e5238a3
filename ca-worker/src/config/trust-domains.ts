import * as v from "valibot";
import { issuePath, trustDomain } from "./fields.ts";
import { storeLocation } from "./location.ts";

export const authoritySchema = v.strictObject({ store: storeLocation });

/** Trust domains beside the CA's own. Each has an authority of its own: shared roots could not tell one from the other. */
export const trustDomainsSchema = v.optional(
  v.array(v.strictObject({ name: trustDomain, authority: authoritySchema })),
  [],
);

/** Where the authority of a trust domain is, and where the configuration says so. */
export interface TrustDomainAuthority {
  readonly trustDomain: string;
  readonly store: string;
  readonly path: string;
}

/** The authorities of all trust domains of a configuration, that of the CA's own first. */
export function authoritiesOf(config: {
  readonly trustDomain: string;
  readonly authority: { readonly store: string };
  readonly trustDomains: v.InferOutput<typeof trustDomainsSchema>;
}): [TrustDomainAuthority, ...TrustDomainAuthority[]] {
  const { trustDomain, authority, trustDomains } = config;
  const others = trustDomains.map(({ name, authority: { store } }, at) => ({
    ...{ trustDomain: name, store, path: `trustDomains.${at}.authority.store` },
  }));
  return [{ trustDomain, store: authority.store, path: "authority.store" }, ...others];
}

const authority = v.object({ store: v.string() });
const domains = v.object({
  trustDomain: v.string(),
  authority,
  trustDomains: v.array(v.object({ name: v.string(), authority })),
  issuers: v.array(v.object({ trustDomain: v.optional(v.string()) })),
});

/** Holds the trust domains of a configuration against each other, whatever else is wrong in it. */
export function trustDomainsCheck<Input>(): v.RawCheckAction<Input> {
  return v.rawCheck(({ dataset, addIssue }) => {
    const read = v.safeParse(domains, dataset.value);
    if (!read.success) return;
    const { trustDomain: own, authority: ownAuthority, trustDomains, issuers } = read.output;
    const names = new Set([own]);
    const stores = new Set([ownAuthority.store]);
    for (const [
      at,
      {
        name,
        authority: { store },
      },
    ] of trustDomains.entries()) {
      if (names.has(name)) {
        addIssue({ message: "the trust domain stands twice", path: issuePath("trustDomains", at, "name") });
      }
      if (stores.has(store)) {
        const message = "each trust domain needs an authority of its own, and this store stands twice";
        addIssue({ message, path: issuePath("trustDomains", at, "authority", "store") });
      }
      names.add(name);
      stores.add(store);
    }
    for (const [at, { trustDomain: name }] of issuers.entries()) {
      // What is no name at all is a fault already.
      if (name === undefined || names.has(name) || !v.is(trustDomain, name)) continue;
      const message = `"${name}" is neither the CA's trustDomain nor the name of one of trustDomains`;
      addIssue({ message, path: issuePath("issuers", at, "trustDomain") });
    }
  });
}
