import { AccountPath } from "@signet/shared/account-path";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { parseStrictJson } from "@signet/shared/strict-json";
import { discoverJwkSet, fetchJwkSet, type KeyDocument } from "../authenticate/fetch-keys.ts";
import { JwkSet } from "../authenticate/jwk-set.ts";
import { fixedKeys, type KeySource, LoadedKeys } from "../authenticate/key-source.ts";
import { reviewCall } from "../authenticate/review-call.ts";
import type { Issuer } from "../authenticate/service-account.ts";
import { CachedReview, type TokenReview } from "../authenticate/token-review.ts";
import { NamePatterns } from "../authorize/name-patterns.ts";
import type { Platform } from "../compose.ts";
import { inCluster, type NodeBinding, type TokenReviewConfig } from "../config/issuer.ts";
import type { Config, IssuerConfig } from "../config.ts";
import { textAt } from "./text-at.ts";

/** The issuers of a configuration. Adds to `faults` what this platform can't do, and leaves such issuers out. */
export function composeIssuers(config: Config, platform: Platform, faults: string[]): Issuer[] {
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
        trustDomain: TrustDomain.parse(issuer.trustDomain ?? config.trustDomain),
        path: AccountPath.parse(issuer.path),
        namespaces: issuer.namespaces && new NamePatterns(issuer.namespaces),
        agents: agentsOf(issuer.nodeBinding ?? config.nodeBinding),
        algorithms: issuer.algorithms,
        maxTokenLifetimeSeconds: issuer.maxTokenLifetime,
        keys: source.keys,
        review:
          issuer.tokenReview &&
          composeReview(issuer.tokenReview, issuer.audiences, `issuers.${index}.tokenReview`, platform, faults),
      },
    ];
  });
  // The configuration names no issuer twice; the cluster's own name is known only here.
  const cluster = platform.clusterIssuer?.name;
  if (issuers.filter(({ issuer }) => issuer === cluster).length > 1) {
    faults.push(`issuers: "${cluster}" stands twice: it is also what "${inCluster}" stands for`);
  }
  return issuers;
}

function agentsOf(binding: NodeBinding): Issuer["agents"] {
  return binding === "off" ? "off" : new Set(binding.agents);
}

type IssuerSource = { readonly name: string; readonly keys: KeySource } | { readonly fault: string };

/** An issuer's name and keys, or why this platform can't have them. */
function issuerSource(
  { issuer, keys }: IssuerConfig,
  { clock, logger, fetch, open, clusterIssuer, waitUntil }: Platform,
): IssuerSource {
  const loaded = (name: string, load: () => Promise<KeyDocument>): IssuerSource => ({
    name,
    keys: new LoadedKeys({ issuer: name, load, clock, logger, waitUntil }),
  });
  if (keys === undefined) {
    if (clusterIssuer === undefined) {
      return { fault: `issuer: "${inCluster}" works on Node in a pod only; name the issuer and its keys` };
    }
    return loaded(clusterIssuer.name, async () => ({ document: await clusterIssuer.load() }));
  }
  if (typeof keys !== "string") return { name: issuer, keys: fixedKeys(JwkSet.parse(keys)) };
  if (keys === "discovery") return loaded(issuer, () => discoverJwkSet(fetch, issuer));
  if (!keys.startsWith("file:")) return loaded(issuer, () => fetchJwkSet(fetch, keys));
  const file = open(keys);
  if (file === undefined) {
    return { fault: "keys: there are no files on this platform; give the JWK Set itself or a URL" };
  }
  return loaded(issuer, async () => ({ document: parseStrictJson(await file.read()) }));
}

/** Adds to `faults`, and gives undefined, where the platform can't keep or use what a review needs. */
function composeReview(
  { url, token, caCertificate, cacheTtl }: TokenReviewConfig,
  audiences: readonly string[],
  path: string,
  platform: Platform,
  faults: string[],
): TokenReview | undefined {
  const { clock, crypto, fetch, fetchTrusting, waitUntil } = platform;
  const reviewer = textAt(platform, token, `${path}.token`, faults);
  const roots =
    caCertificate === undefined ? undefined : textAt(platform, caCertificate, `${path}.caCertificate`, faults);
  if (caCertificate !== undefined && fetchTrusting === undefined) {
    const way = "leave it out, and reach the API server under a name with a public certificate";
    faults.push(`${path}.caCertificate: this platform knows public certificate authorities only; ${way}`);
  }
  if (reviewer === undefined) return undefined;
  const connect = roots && fetchTrusting ? { fetchTrusting, caCertificate: roots } : { fetch };
  const review = reviewCall({ url, token: reviewer, connect, clock });
  const mayWait = waitUntil === undefined;
  return new CachedReview({ audiences, cacheSeconds: cacheTtl, review, mayWait, clock, crypto });
}
