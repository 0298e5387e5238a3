import { publicKeyKinds } from "@signet/shared/public-key";
import * as v from "valibot";
import { isAllowedKeyUrl } from "../authenticate/fetch-keys.ts";
import { DnsTemplate } from "../authorize/dns-template.ts";
import { combinations } from "../authorize/rules.ts";
import { defaultRule } from "../types.ts";
import { accountPattern, day, duration, issuePath, namespacePattern, parsedBy } from "./fields.ts";
import { secretOfStore, storeLocation } from "./location.ts";

// Room for 10,000 rules of a few patterns each. Each combination is an entry of a table that is made at start.
const maxRules = 20_000;
const maxCombinations = 200_000;
const maxDenyLists = 8;
const maxDnsNames = 16;

export const keyKinds = v.pipe(
  v.array(v.picklist(publicKeyKinds)),
  v.minLength(1, "at least one kind of key is needed"),
);
export const leafLife = duration(5, 90 * day, "5s to 90d");

/** A list that narrows a rule. An empty one would match nobody, and be taken for everybody. */
function scope<Item extends v.GenericSchema<string, string>>(item: Item) {
  return v.optional(v.pipe(v.array(item), v.minLength(1, "must not be empty; leave it out to match all")));
}

const ruleScope = {
  name: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, "must be letters, digits, and . _ - inside, up to 63"),
    v.check((name) => name !== defaultRule, `"${defaultRule}" is what the log says where no rule matches`),
  ),
  issuers: scope(v.string()),
  namespaces: scope(namespacePattern),
  serviceAccounts: scope(accountPattern),
};

const dnsTemplate = v.pipe(v.string(), parsedBy<string>(DnsTemplate.parse));
const isTemplate = (text: string) => v.is(dnsTemplate, text);

const allowRule = v.pipe(
  v.strictObject({
    ...ruleScope,
    effect: v.literal("allow"),
    keys: v.optional(keyKinds),
    defaultTtl: v.optional(leafLife),
    maxTtl: v.optional(leafLife),
    dnsNames: v.optional(v.pipe(v.array(dnsTemplate), v.maxLength(maxDnsNames, `more than ${maxDnsNames}`)), []),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { namespaces, serviceAccounts, dnsNames } = dataset.value;
    for (const [at, text] of dnsNames.entries()) {
      // What is none has its fault already.
      if (!isTemplate(text)) continue;
      const template = DnsTemplate.parse(text);
      // Each its own path: valibot puts the keys around it in place.
      const fault = (message: string) => addIssue({ message, path: issuePath("dnsNames", at) });
      if (!template.tellsNamespaces && !areExact(namespaces)) fault(sharedName("{namespace}", "namespaces"));
      if (!template.tellsAccounts && !areExact(serviceAccounts)) {
        fault(sharedName("{serviceAccount}", "serviceAccounts"));
      }
    }
  }),
);

// Whoever may make a namespace or an account would get the name of another's.
const sharedName = (part: string, list: string) =>
  `without ${part} all that the rule matches have this one name: put ${part} in, or name the rule's ${list} exactly`;
const areExact = (patterns: readonly string[] | undefined) => patterns?.every((pattern) => !pattern.endsWith("*"));

const absent = v.optional(v.custom<undefined>(() => false, "leave it out: a rule that denies gives nothing"));
const denyRule = v.strictObject({
  ...ruleScope,
  effect: v.literal("deny"),
  keys: absent,
  defaultTtl: absent,
  maxTtl: absent,
  dnsNames: absent,
});

/** Where a deny list is: a location, or an https URL (plain http only from this machine). */
const denyListPlace = v.pipe(
  v.string(),
  v.check(
    (text) => isAllowedKeyUrl(text) || v.is(storeLocation, text),
    'must be an https URL or a location such as "file:PATH"',
  ),
  // The CA's role lets it get one Secret by name, its authority's.
  v.check(
    (text) => secretOfStore(text) === undefined,
    'mount the Secret, or a ConfigMap, into the pod and give "file:PATH" of it',
  ),
);

/** Who gets certificates, and what they are like. Without it: every account of every issuer. */
export const policySchema = v.optional(
  v.strictObject({
    // Said in words always: who lists what is allowed must not find later that the rest is allowed too.
    default: v.optional(
      v.picklist(["allow", "deny"], 'must be "allow" or "deny": what is done where no rule matches'),
      "" as never,
    ),
    rules: v.optional(
      v.pipe(
        v.array(v.variant("effect", [allowRule, denyRule])),
        v.maxLength(maxRules, `more than ${maxRules} rules`),
        v.check(
          (rules) => rules.reduce((sum, rule) => sum + combinations(rule), 0) <= maxCombinations,
          `their lists combine to more than ${maxCombinations} cases; use beginnings with "*" in place of long lists`,
        ),
      ),
      [],
    ),
    denyLists: v.optional(v.pipe(v.array(denyListPlace), v.maxLength(maxDenyLists, `more than ${maxDenyLists}`)), []),
  }),
  { default: "allow" },
);

// What is none of what is looked for has its fault already, and keeps nothing else from being looked at.
const life = v.fallback(v.optional(v.number()), undefined);
const name = v.fallback(v.string(), "");
const rule = v.object({
  name,
  issuers: v.fallback(v.optional(v.array(v.string())), undefined),
  defaultTtl: life,
  maxTtl: life,
  dnsNames: v.fallback(v.optional(v.array(v.fallback(v.string(), ""))), undefined),
});
const read = v.object({
  issuers: v.array(v.fallback(v.object({ issuer: name }), { issuer: "" })),
  leaf: v.fallback(v.object({ maxTtl: v.number() }), { maxTtl: Number.POSITIVE_INFINITY }),
  policy: v.object({ rules: v.array(v.fallback(rule, { name: "" })) }),
});

const mixedNames = (other: DnsTemplate) =>
  `the DNS name of an account could be that of another namespace's by "${other}": put {namespace} where it stands there`;

/** The forms of DNS names in all rules. By their shape, since nearly always all have the same: then none is compared. */
class DnsForms {
  readonly #known = new Set<string>();
  readonly #byShape = new Map<string, DnsTemplate[]>();

  /** Adds a form. @returns one by which its names could be those of another namespace's accounts */
  add(text: string): DnsTemplate | undefined {
    if (this.#known.has(text) || !isTemplate(text)) return undefined;
    this.#known.add(text);
    const template = DnsTemplate.parse(text);
    const { shape } = template;
    const alike = this.#byShape.get(shape) ?? [];
    this.#byShape.set(shape, alike);
    alike.push(template);
    for (const [one, others] of this.#byShape) {
      const other = one === shape ? undefined : others.find((each) => each.collidesWith(template));
      if (other !== undefined) return other;
    }
    return undefined;
  }
}

/** Holds the rules of a configuration against each other, its issuers and its leaf, whatever else is wrong in it. */
export function policyCheck<Input>(): v.RawCheckAction<Input> {
  return v.rawCheck(({ dataset, addIssue }) => {
    const result = v.safeParse(read, dataset.value);
    if (!result.success) return;
    const { issuers, leaf, policy } = result.output;
    const known = new Set(issuers.map(({ issuer }) => issuer));
    const names = new Set<string>();
    const dnsNames = new DnsForms();
    for (const [at, rule] of policy.rules.entries()) {
      const fault = (message: string, ...members: (string | number)[]) =>
        addIssue({ message, path: issuePath("policy", "rules", at, ...members) });
      if (rule.name !== "" && names.has(rule.name)) fault("another rule has this name", "name");
      names.add(rule.name);
      for (const [place, issuer] of rule.issuers?.entries() ?? []) {
        if (!known.has(issuer)) fault("is the issuer of none of the configuration's issuers", "issuers", place);
      }
      for (const [place, text] of rule.dnsNames?.entries() ?? []) {
        const other = dnsNames.add(text);
        if (other !== undefined) fault(mixedNames(other), "dnsNames", place);
      }
      const { defaultTtl, maxTtl } = rule;
      if (defaultTtl === undefined || defaultTtl <= (maxTtl ?? leaf.maxTtl)) continue;
      fault(
        maxTtl === undefined ? "is over leaf.maxTtl; give the rule a maxTtl" : "must not be over maxTtl",
        "defaultTtl",
      );
    }
  });
}
