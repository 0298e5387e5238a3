import type { Fetch } from "@signet/shared/deps";
import { DenyListSource } from "../authorize/deny-list-source.ts";
import { DnsTemplate } from "../authorize/dns-template.ts";
import type { Policy } from "../authorize/policy.ts";
import { type LeafLimits, type Rule, RuleTable } from "../authorize/rules.ts";
import type { Platform } from "../compose.ts";
import { inCluster } from "../config/issuer.ts";
import type { Config } from "../config.ts";
import { fetchText, withoutQuery } from "../fetch-text.ts";
import type { TextSource } from "../text-source.ts";
import { textAt } from "./text-at.ts";

/** The policy of a configuration. Adds to `faults` what this platform can't do. */
export function composePolicy(config: Config, platform: Platform, faults: string[]): Policy {
  const { leaf, policy } = config;
  const limits: LeafLimits = {
    keys: leaf.keys,
    defaultTtlSeconds: leaf.defaultTtl,
    maxTtlSeconds: leaf.maxTtl,
  };
  return {
    rules: new RuleTable(policy.rules.map((rule) => composeRule(rule, limits, platform))),
    ownDnsNames: new Set(platform.ownDnsNames),
    unmatched: policy.default === "allow" ? { ...limits, dnsNames: [] } : "nothing",
    denyLists: policy.denyLists.flatMap((place, index) => {
      if (/^https?:/.test(place)) {
        return new DenyListSource({ ...platform, name: withoutQuery(place), text: urlSource(platform.fetch, place) });
      }
      const text = textAt(platform, place, `policy.denyLists.${index}`, faults);
      return text === undefined ? [] : new DenyListSource({ ...platform, name: place, text });
    }),
  };
}

function composeRule(rule: Config["policy"]["rules"][number], limits: LeafLimits, { clusterIssuer }: Platform): Rule {
  const { name, issuers, namespaces, serviceAccounts } = rule;
  const scope = {
    // Tokens carry the name that the cluster has for itself.
    issuers: issuers?.map((issuer) => (issuer === inCluster ? (clusterIssuer?.name ?? issuer) : issuer)),
    namespaces,
    serviceAccounts,
  };
  if (rule.effect === "deny") return { name, ...scope, gives: "nothing" };
  const maxTtlSeconds = rule.maxTtl ?? limits.maxTtlSeconds;
  return {
    name,
    ...scope,
    gives: {
      keys: rule.keys ?? limits.keys,
      defaultTtlSeconds: rule.defaultTtl ?? Math.min(limits.defaultTtlSeconds, maxTtlSeconds),
      maxTtlSeconds,
      dnsNames: rule.dnsNames.map(DnsTemplate.parse),
    },
  };
}

// A request for a certificate waits for it. 100,000 UIDs are 4 MB.
const timeoutMs = 2_000;
const maxBytes = 8 * 1024 * 1024;

/** The text at a URL, which is sent again only when it has changed. */
function urlSource(fetch: Fetch, url: string): TextSource {
  let known: { readonly text: string; readonly etag: string | undefined } | undefined;
  return {
    async read() {
      const options = { accept: "application/json", timeoutMs, maxBytes, etag: known?.etag };
      const found = await fetchText(fetch, url, options);
      if (found !== "unchanged") known = found;
      return known?.text ?? "";
    },
  };
}
