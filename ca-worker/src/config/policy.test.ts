import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../config.ts";

const minimal = {
  trustDomain: "cluster.local",
  authority: { store: "file:authority.json" },
  issuers: [{ issuer: "https://a", audiences: ["signet-ca"], keys: "file:jwks.json" }],
};
const allow = { name: "web", effect: "allow" };
const deny = { name: "web", effect: "deny" };
const parse = (policy: unknown, more: object = {}) =>
  parseConfig(JSON.stringify({ ...minimal, ...more, policy }), "ca.jsonc").policy;
const withRule = (...rules: unknown[]) => ({ default: "deny", rules });

/** The faults that are told. */
function faultsOf(policy: unknown, more: object = {}): string[] {
  try {
    parse(policy, more);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(SignetError);
    expect(error).toMatchObject({ code: "config-invalid" });
    return (error as SignetError).message.split("\n  - ").slice(1);
  }
}

describe("the policy in the configuration", () => {
  test("is to allow all where there is none", () => {
    expect(parse(undefined)).toEqual({ default: "allow", rules: [], denyLists: [] });
  });

  test("has durations in seconds", () => {
    const rule = { ...allow, defaultTtl: "10m", maxTtl: "1h" };
    expect(parse(withRule(rule)).rules).toEqual([{ ...rule, defaultTtl: 600, maxTtl: 3_600, dnsNames: [] }]);
  });

  test.each([
    {
      rule: "patterns",
      policy: withRule({ ...allow, namespaces: ["foo", "team-*", "*"], serviceAccounts: ["a.b", "x.*"] }),
    },
    { rule: "an issuer of the configuration", policy: withRule({ ...deny, issuers: ["https://a"] }) },
    { rule: "kinds of key that the leaf has not", policy: withRule({ ...allow, keys: ["rsa", "ed25519"] }) },
    { rule: "a longest life over the leaf's", policy: withRule({ ...allow, maxTtl: "90d", defaultTtl: "48h" }) },
    { rule: "a longest life under the leaf's default", policy: withRule({ ...allow, maxTtl: "5m" }) },
    {
      rule: "DNS names that each account has for itself",
      policy: withRule({
        ...allow,
        dnsNames: ["{serviceAccount}.{namespace}.svc", "{serviceAccount}.{namespace}.svc.a"],
      }),
    },
    {
      rule: "a DNS name for one account by its name",
      policy: withRule({ ...allow, namespaces: ["foo"], serviceAccounts: ["api"], dnsNames: ["api.example.com"] }),
    },
    { rule: "a deny list in a file", policy: { default: "allow", denyLists: ["file:deny.json"] } },
    { rule: "a deny list in Secrets Manager", policy: { default: "allow", denyLists: ["aws-secretsmanager:deny"] } },
    { rule: "a deny list at an https URL", policy: { default: "allow", denyLists: ["https://a/deny.json?sig=x"] } },
    { rule: "a deny list of this machine", policy: { default: "allow", denyLists: ["http://127.0.0.1:1/deny.json"] } },
  ])("takes $rule", ({ policy }) => {
    expect(faultsOf(policy)).toEqual([]);
  });

  test("no DNS name of one namespace's account is also another's, by one rule or by two", () => {
    const usual = "{serviceAccount}.{namespace}.svc";
    const fault = `the DNS name of an account could be that of another namespace's by "${usual}": put {namespace} where it stands there`;
    const rules = (...dnsNames: string[][]) => ({
      default: "deny",
      rules: dnsNames.map((names, at) => ({ ...allow, name: `rule-${at}`, dnsNames: names })),
    });
    const swapped = "{namespace}.{serviceAccount}.svc";
    expect(faultsOf(rules([usual], [swapped]))).toEqual([`policy.rules.1.dnsNames.0: ${fault}`]);
    expect(faultsOf(rules([usual, swapped]))).toEqual([`policy.rules.0.dnsNames.1: ${fault}`]);
    // Namespace "a" of the second makes it one of the first.
    const fixed = { ...allow, name: "fixed", serviceAccounts: ["api"], dnsNames: ["{namespace}.a.svc"] };
    expect(faultsOf({ default: "deny", rules: [...rules([usual]).rules, fixed] })).toEqual([
      `policy.rules.1.dnsNames.0: ${fault}`,
    ]);
    expect(
      faultsOf(rules([usual, `${usual}.a`], ["x.{serviceAccount}.{namespace}.svc", usual], [`${swapped}.b`])),
    ).toEqual([]);
  });

  test.each<{ rule: string; policy: unknown; faults: string[]; more?: object }>([
    {
      rule: "no default",
      policy: { rules: [] },
      faults: ['policy.default: must be "allow" or "deny": what is done where no rule matches'],
    },
    {
      rule: "a default that is none",
      policy: { default: "ask" },
      faults: ['policy.default: must be "allow" or "deny": what is done where no rule matches'],
    },
    { rule: "an unknown key", policy: { default: "deny", rule: [] }, faults: ["policy.rule: unknown key"] },
    {
      rule: "an unknown key of a rule",
      policy: withRule({ ...allow, namespace: ["a"] }),
      faults: ["policy.rules.0.namespace: unknown key"],
    },
    {
      rule: "no effect",
      policy: withRule({ name: "web" }),
      faults: ['policy.rules.0.effect: missing; expected ("allow" | "deny")'],
    },
    {
      rule: "no name",
      policy: withRule({ effect: "deny" }),
      faults: ["policy.rules.0.name: missing"],
    },
    {
      rule: "a name that would break a line of the log",
      policy: withRule({ ...deny, name: "a\nb" }),
      faults: ["policy.rules.0.name: must be letters, digits, and . _ - inside, up to 63"],
    },
    {
      rule: "the name of what is done without a rule",
      policy: withRule({ ...deny, name: "default" }),
      faults: ['policy.rules.0.name: "default" is what the log says where no rule matches'],
    },
    {
      rule: "a name twice",
      policy: withRule(allow, { ...deny, name: "b" }, deny),
      faults: ["policy.rules.2.name: another rule has this name"],
    },
    {
      rule: "several rules, and with something else, at once",
      policy: withRule({ effect: "deny" }, { ...deny, issuers: ["https://b"] }, deny, { ...allow, maxTtl: 5 }, 7),
      more: { leaf: { maxTtl: "long" } },
      faults: [
        'leaf.maxTtl: "long" is no duration; write it as 30s, 15m, 1h30m or 7d',
        "policy.rules.0.name: missing",
        expect.stringMatching(/^policy\.rules\.3\.maxTtl: /),
        expect.stringMatching(/^policy\.rules\.4: /),
        "policy.rules.1.issuers.0: is the issuer of none of the configuration's issuers",
        "policy.rules.2.name: another rule has this name",
        "policy.rules.3.name: another rule has this name",
      ],
    },
    {
      rule: "an empty list",
      policy: withRule({ ...deny, namespaces: [] }),
      faults: ["policy.rules.0.namespaces: must not be empty; leave it out to match all"],
    },
    {
      rule: "patterns that match no name",
      policy: withRule({
        ...deny,
        namespaces: ["Foo", "*a", "a*b", "a.b", ""],
        serviceAccounts: ["a..b", "a_b", "a**"],
      }),
      faults: [0, 1, 2, 3, 4]
        .map((at) => `namespaces.${at}`)
        .concat([0, 1, 2].map((at) => `serviceAccounts.${at}`))
        .map(
          (key) =>
            `policy.rules.0.${key}: must be a name of lower-case letters, digits and "-", or the beginning of one with "*" at its end`,
        ),
    },
    {
      rule: "an issuer that is none",
      policy: withRule({ ...deny, issuers: ["https://a", "https://b"] }),
      faults: ["policy.rules.0.issuers.1: is the issuer of none of the configuration's issuers"],
    },
    {
      rule: "something to give in a rule that denies",
      policy: withRule({ ...deny, maxTtl: "1h", dnsNames: [] }),
      faults: ["maxTtl", "dnsNames"].map(
        (key) => `policy.rules.0.${key}: leave it out: a rule that denies gives nothing`,
      ),
    },
    {
      rule: "a default life over the longest",
      policy: withRule({ ...allow, defaultTtl: "2h", maxTtl: "1h" }),
      faults: ["policy.rules.0.defaultTtl: must not be over maxTtl"],
    },
    {
      rule: "a default life over the leaf's longest",
      policy: withRule({ ...allow, defaultTtl: "25h" }),
      faults: ["policy.rules.0.defaultTtl: is over leaf.maxTtl; give the rule a maxTtl"],
    },
    {
      rule: "no kind of key",
      policy: withRule({ ...allow, keys: [] }),
      faults: ["policy.rules.0.keys: at least one kind of key is needed"],
    },
    {
      rule: "a DNS name that chooses its domain",
      policy: withRule({ ...allow, dnsNames: ["{serviceAccount}.{namespace}"] }),
      faults: [
        "policy.rules.0.dnsNames.0: must end with a fixed label, such as svc, so that no account chooses its own domain",
      ],
    },
    {
      rule: "a DNS name that accounts of all namespaces would have",
      policy: withRule({ ...allow, serviceAccounts: ["api"], dnsNames: ["{serviceAccount}.svc"] }),
      faults: [
        "policy.rules.0.dnsNames.0: without {namespace} all that the rule matches have this one name: put {namespace} in, or name the rule's namespaces exactly",
      ],
    },
    {
      rule: "a DNS name that all accounts of a namespace would have",
      policy: withRule({ ...allow, namespaces: ["foo"], serviceAccounts: ["api-*"], dnsNames: ["api.example.com"] }),
      faults: [
        "policy.rules.0.dnsNames.0: without {serviceAccount} all that the rule matches have this one name: put {serviceAccount} in, or name the rule's serviceAccounts exactly",
      ],
    },
    {
      rule: "a DNS name that all accounts of all namespaces would have",
      policy: withRule({ ...allow, dnsNames: ["api.example.com"] }),
      faults: [
        "policy.rules.0.dnsNames.0: without {namespace} all that the rule matches have this one name: put {namespace} in, or name the rule's namespaces exactly",
        "policy.rules.0.dnsNames.0: without {serviceAccount} all that the rule matches have this one name: put {serviceAccount} in, or name the rule's serviceAccounts exactly",
      ],
    },
    {
      rule: "lists that make too many combinations",
      policy: withRule({
        ...deny,
        namespaces: Array.from({ length: 500 }, (_, at) => `a${at}`),
        serviceAccounts: Array.from({ length: 500 }, (_, at) => `a${at}`),
      }),
      faults: [
        'policy.rules: their lists combine to more than 200000 cases; use beginnings with "*" in place of long lists',
      ],
    },
    {
      rule: "a deny list in a Secret",
      policy: { default: "allow", denyLists: ["kubernetes:signet-system/deny"] },
      faults: ['policy.denyLists.0: mount the Secret, or a ConfigMap, into the pod and give "file:PATH" of it'],
    },
    {
      rule: "places of deny lists that are none",
      policy: { default: "allow", denyLists: ["deny.json", "http://a/deny.json", "https://u:p@a/deny.json"] },
      faults: [0, 1, 2].map((at) => `policy.denyLists.${at}: must be an https URL or a location such as "file:PATH"`),
    },
  ])("says what is wrong with $rule", ({ policy, faults, more }) => {
    expect(faultsOf(policy, more)).toEqual(faults);
  });
});
