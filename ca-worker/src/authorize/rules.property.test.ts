import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Account, mismatch, type Rule, RuleTable } from "./rules.ts";

// Few letters, so that names and patterns meet often.
const name = fc.stringMatching(/^[ab]{1,4}$/);
const pattern = fc.oneof(name, fc.constant("*"), fc.stringMatching(/^[ab]{1,4}\*$/));
const issuer = fc.constantFrom("i", "j", "k");
const some = (item: fc.Arbitrary<string>) =>
  fc.option(fc.array(item, { minLength: 1, maxLength: 3 }), { nil: undefined });

const rules = fc
  .array(fc.record({ issuers: some(issuer), namespaces: some(pattern), serviceAccounts: some(pattern) }), {
    maxLength: 30,
  })
  .map((scopes) => scopes.map((scope, at): Rule => ({ name: `rule-${at}`, ...scope, gives: "nothing" })));
// One issuer that no rule names.
const account = fc.record({ issuer: fc.oneof(issuer, fc.constant("z")), namespace: name, serviceAccount: name });

/** What the words of the documentation say, in the plainest form. */
function matches(rule: Rule, { issuer, namespace, serviceAccount }: Account): boolean {
  const within = (patterns: readonly string[] | undefined, text: string) =>
    patterns === undefined || patterns.some((one) => new RegExp(`^${one.replace("*", "[ab]*")}$`).test(text));
  return (
    (rule.issuers === undefined || rule.issuers.includes(issuer)) &&
    within(rule.namespaces, namespace) &&
    within(rule.serviceAccounts, serviceAccount)
  );
}

test("the rule that is found is the first that matches", () => {
  fc.assert(
    fc.property(rules, account, (rules, account) => {
      const first = rules.find((rule) => matches(rule, account));
      expect(new RuleTable(rules).find(account)?.name).toBe(first?.name);
    }),
    { numRuns: 3_000 },
  );
});

test("a rule is told to match just where it does, else by the first part that does not", () => {
  fc.assert(
    fc.property(rules, account, (rules, account) => {
      for (const rule of rules) {
        const told = mismatch(rule, account);
        expect(told === undefined).toBe(matches(rule, account));
        // Without the part that is told, and those before it, the rest may match; with it, nothing does.
        if (told !== undefined)
          expect(matches({ name: "", gives: "nothing", [told]: rule[told] }, account)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

test("10,000 rules take no more look-ups than 10 of the same kinds", () => {
  const makeRules = (count: number) =>
    Array.from({ length: count }, (_, at): Rule => {
      const scope = [
        { namespaces: [`team-${at}`] },
        { namespaces: [`team-${at}-*`], serviceAccounts: ["web"] },
        { serviceAccounts: [`job-${at}`, `cron-${at}*`] },
        { issuers: [`issuer-${at % 200}`], namespaces: ["shared"], serviceAccounts: [`account-${at}`] },
      ][at % 4];
      return { name: `rule-${at}`, ...scope, gives: "nothing" };
    });
  const lookUps = (count: number, account: Account): number => {
    const table = new RuleTable(makeRules(count));
    const get = vi.spyOn(Map.prototype, "get");
    try {
      table.find(account);
      return get.mock.calls.length;
    } finally {
      get.mockRestore();
    }
  };
  for (const account of [
    { issuer: "issuer-3", namespace: "shared", serviceAccount: "account-3" },
    { issuer: "issuer-0", namespace: "team-1-a", serviceAccount: "web" },
    { issuer: "other", namespace: "nobody", serviceAccount: "nobody" },
  ]) {
    // Numbers of up to four digits give prefixes of four lengths, in each of the two tables.
    const [few, many] = [lookUps(10, account), lookUps(10_000, account)];
    expect(few).toBeGreaterThan(0);
    expect(many).toBeLessThanOrEqual(few + 3 + 3);
  }
});
