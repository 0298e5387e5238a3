import { DenyListSource } from "../authorize/deny-list-source.ts";
import { denyListAtUrl, isUrl } from "../authorize/deny-list-url.ts";
import { DnsTemplate } from "../authorize/dns-template.ts";
import type { Policy } from "../authorize/policy.ts";
import { type LeafLimits, type Rule, RuleTable } from "../authorize/rules.ts";
import type { Platform } from "../compose.ts";
import { inCluster } from "../config/issuer.ts";
import type { Config } from "../config.ts";
import { withoutQuery } from "../fetch-text.ts";
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
      if (isUrl(place)) {
        const text = denyListAtUrl(platform.fetch, place);
        return new DenyListSource({ ...platform, name: withoutQuery(place), text });
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
