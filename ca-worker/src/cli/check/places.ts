import { isUrl } from "../../authorize/deny-list-url.ts";
import { inCluster } from "../../config/issuer.ts";
import type { Config } from "../../config.ts";

/** Something outside of a configuration that it names. */
export type Place = {
  /** Path of the key that names it. */
  readonly path: string;
} & (
  | { readonly kind: "authority"; readonly location: string; readonly trustDomain: string }
  | { readonly kind: "keys" | "deny-list" | "certificates" | "secret"; readonly location: string }
  | { readonly kind: "keys-url" | "deny-list-url"; readonly url: string }
  | { readonly kind: "discovery"; readonly issuer: string }
  | { readonly kind: "cluster-issuer" }
);

/** All places that a configuration names, in its order. */
export function placesOf({ trustDomain, authority, trustDomains, issuers, policy, audit }: Config): readonly Place[] {
  return [
    { path: "authority.store", kind: "authority", location: authority.store, trustDomain },
    ...trustDomains.map(
      ({ name, authority: { store } }, at): Place => ({
        ...{ path: `trustDomains.${at}.authority.store`, kind: "authority", location: store, trustDomain: name },
      }),
    ),
    ...issuers.flatMap((issuer, at) => [...keysOf(issuer, `issuers.${at}`), ...reviewOf(issuer, `issuers.${at}`)]),
    ...policy.denyLists.map((place, at): Place => {
      const path = `policy.denyLists.${at}`;
      return isUrl(place) ? { path, kind: "deny-list-url", url: place } : { path, kind: "deny-list", location: place };
    }),
    ...audit.sinks.flatMap((sink, at): Place[] => {
      if (sink.type !== "https" || sink.authorization === undefined) return [];
      return [{ path: `audit.sinks.${at}.authorization`, kind: "secret", location: sink.authorization }];
    }),
  ];
}

type Issuer = Config["issuers"][number];

function keysOf({ issuer, keys }: Issuer, path: string): Place[] {
  if (issuer === inCluster) return [{ path: `${path}.issuer`, kind: "cluster-issuer" }];
  if (typeof keys !== "string") return [];
  if (keys === "discovery") return [{ path: `${path}.keys`, kind: "discovery", issuer }];
  if (keys.startsWith("file:")) return [{ path: `${path}.keys`, kind: "keys", location: keys }];
  return [{ path: `${path}.keys`, kind: "keys-url", url: keys }];
}

function reviewOf({ tokenReview }: Issuer, path: string): Place[] {
  if (tokenReview === undefined) return [];
  const { token, caCertificate } = tokenReview;
  const places: Place[] = [{ path: `${path}.tokenReview.token`, kind: "secret", location: token }];
  if (caCertificate !== undefined) {
    places.push({ path: `${path}.tokenReview.caCertificate`, kind: "certificates", location: caCertificate });
  }
  return places;
}
