import type { Awaitable } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import { type Caller, defaultRule, type Entitlement } from "../types.ts";
import { type DenyList, type DenyListMember, deniedBy } from "./deny-list.ts";
import type { DenyListSource } from "./deny-list-source.ts";
import type { Allowance, Rule, RuleTable } from "./rules.ts";

/** Who may have what. */
export interface Policy {
  readonly rules: RuleTable;
  /** What is given where no rule matches. */
  readonly unmatched: Allowance | "nothing";
  readonly denyLists: readonly DenyListSource[];
  /** DNS names that are the CA's, and no workload's. */
  readonly ownDnsNames: ReadonlySet<string>;
}

/** What decides of a caller: the first of these that applies. */
export type Decision =
  | { readonly by: "issuer"; readonly gives: "nothing" }
  | {
      readonly by: "deny-list";
      readonly denyList: string;
      readonly member: DenyListMember;
      readonly gives: "nothing";
    }
  | { readonly by: "rule"; readonly rule: Rule; readonly gives: Allowance | "nothing" }
  | { readonly by: "default"; readonly gives: Allowance | "nothing" };

export interface Judgement {
  readonly spiffeId: SpiffeId;
  readonly decision: Decision;
}

/**
 * What decides of a caller, and how.
 * @throws SignetError `identity-not-entitled` where it can have no SPIFFE ID, or `cannot-sign` where a deny list could
 *   never be read
 */
export function judge(caller: Caller, policy: Policy): Awaitable<Judgement> {
  const lists = policy.denyLists.map((source) => source.current());
  const judgeBy = (read: readonly DenyList[]): Judgement => {
    const spiffeId = identify(caller);
    return { spiffeId, decision: decide(read, spiffeId, caller, policy) };
  };
  // Lists at hand, as nearly always, cost no turn of the event loop.
  return lists.some((list) => list instanceof Promise)
    ? Promise.all(lists).then(judgeBy)
    : judgeBy(lists as readonly DenyList[]);
}

/**
 * Step 2: what the policy lets a caller have. Cheap, and done before any cryptography of its CSR.
 * @throws SignetError `identity-not-entitled`, or `cannot-sign` where a deny list could never be read
 */
export function entitle(caller: Caller, policy: Policy): Awaitable<Entitlement> {
  const judgement = judge(caller, policy);
  return judgement instanceof Promise
    ? judgement.then((it) => give(it, caller, policy))
    : give(judgement, caller, policy);
}

/**
 * Reads the deny lists that are due, once for those who then ask {@link entitle} many times.
 * @returns why {@link entitle} fails for everybody; undefined where it does not
 */
export async function refreshDenyLists({ denyLists }: Policy): Promise<SignetError | undefined> {
  const reads = await Promise.allSettled(denyLists.map(async (source) => source.current()));
  const failed = reads.find((read) => read.status === "rejected");
  return failed && asSignetError(failed.reason, "cannot-sign");
}

function give({ spiffeId, decision }: Judgement, { workload }: Caller, { ownDnsNames }: Policy): Entitlement {
  if (decision.gives === "nothing") throw notEntitled(describeRefusal(decision));
  const { dnsNames, ...limits } = decision.gives;
  const rule = decision.by === "rule" ? decision.rule.name : defaultRule;
  const { namespace, serviceAccount } = workload;
  return {
    ...{ spiffeId, rule, ...limits },
    dnsNames: dnsNames.map((template) => {
      const name = template.nameOf(namespace, serviceAccount);
      // Refused, not left out: a workload that needs the name would fail later, and nobody would know why.
      if (name === undefined) throw notEntitled(`rule ${rule}: the account's name does not fit into ${template}`);
      if (ownDnsNames.has(name)) throw notEntitled(`rule ${rule}: ${template} gives it a name of the CA's own server`);
      return name;
    }),
  };
}

function decide(
  lists: readonly DenyList[],
  spiffeId: SpiffeId,
  caller: Caller,
  { denyLists, rules, unmatched }: Policy,
): Decision {
  const { issuer, workload } = caller;
  const { namespace, serviceAccount } = workload;
  if (issuer.namespaces?.has(namespace) === false) return { by: "issuer", gives: "nothing" };
  for (const [at, list] of lists.entries()) {
    const member = deniedBy(list, spiffeId, caller);
    if (member !== undefined) {
      return { by: "deny-list", denyList: denyLists[at]?.name ?? "", member, gives: "nothing" };
    }
  }
  const rule = rules.find({ issuer: issuer.issuer, namespace, serviceAccount });
  return rule === undefined ? { by: "default", gives: unmatched } : { by: "rule", rule, gives: rule.gives };
}

function identify({ issuer, trustDomain, workload }: Caller): SpiffeId {
  try {
    return issuer.path.idOf(trustDomain, workload.namespace, workload.serviceAccount);
  } catch (error) {
    throw notEntitled(asSignetError(error, "malformed-spiffe-id").message);
  }
}

function describeRefusal(decision: Decision): string {
  switch (decision.by) {
    case "issuer":
      return "the namespace is not among those of its issuer";
    case "deny-list":
      return `the deny list ${decision.denyList} has it in its ${decision.member}`;
    case "rule":
      return `rule ${decision.rule.name} denies it`;
    case "default":
      return "no rule matches, and policy.default is to deny";
  }
}

function notEntitled(reason: string): SignetError {
  return new SignetError("identity-not-entitled", reason);
}
