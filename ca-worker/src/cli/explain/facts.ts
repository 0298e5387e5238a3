import type { ServiceAccountClaims } from "@signet/shared/service-account";
import { matchesPattern } from "../../authorize/name-patterns.ts";
import type { Judgement, Policy } from "../../authorize/policy.ts";
import { type Account, mismatch, type Rule, type RuleScope } from "../../authorize/rules.ts";
import type { Caller } from "../../types.ts";

/** What a step found. */
export type Facts = Record<string, Fact>;
export type Fact = string | number | null | readonly string[] | { readonly [name: string]: Fact };

// Of 10,000 rules nobody reads which ones did not match.
const maxPassedOver = 20;

/** What the CA goes by of a token; with it, what a deny list would name. */
export function describeAccount(claims: ServiceAccountClaims): Facts {
  return {
    issuer: claims.issuer,
    subject: claims.subject,
    pod: claims.podName,
    podUid: claims.podUid,
    node: claims.nodeName ?? null,
    nodeUid: claims.nodeUid ?? null,
    tokenId: claims.tokenId ?? null,
    expires: new Date(claims.expiresAt * 1000).toISOString(),
  };
}

/** What decides in the policy, and what was passed over before it. */
export function describeDecision({ spiffeId, decision }: Judgement, caller: Caller, { rules }: Policy): Facts {
  const id = { spiffeId: spiffeId.toString() };
  if (decision.by === "issuer") return { ...id, decidedBy: "the namespaces of the issuer" };
  if (decision.by === "deny-list") {
    return { ...id, decidedBy: "a deny list", denyList: decision.denyList, member: decision.member };
  }
  const { namespace, serviceAccount } = caller.workload;
  const account: Account = { issuer: caller.issuer.issuer, namespace, serviceAccount };
  const place = decision.by === "rule" ? rules.rules.indexOf(decision.rule) : rules.rules.length;
  const before = rules.rules.slice(0, place);
  const passed = {
    passedOver: place,
    passedOverBecauseOf: Object.fromEntries(
      before.slice(-maxPassedOver).map((rule) => [rule.name, mismatch(rule, account) ?? ""]),
    ),
  };
  const effect = decision.gives === "nothing" ? "deny" : "allow";
  if (decision.by === "default") return { ...id, decidedBy: "policy.default", effect, ...passed };
  return {
    ...id,
    decidedBy: "a rule",
    rule: decision.rule.name,
    effect,
    matches: describeMatch(decision.rule, account),
    ...passed,
  };
}

/** The parts of a rule's scope, and what in them the account is matched by. */
function describeMatch(rule: Rule, account: Account): Facts {
  const matching = (patterns: RuleScope["namespaces"], name: string) =>
    patterns?.find((pattern) => matchesPattern(pattern, name)) ?? "(all)";
  return {
    issuers: rule.issuers === undefined ? "(all)" : account.issuer,
    namespaces: matching(rule.namespaces, account.namespace),
    serviceAccounts: matching(rule.serviceAccounts, account.serviceAccount),
  };
}
