import { formatDuration } from "@signet/shared/duration";
import type { CaErrorCode } from "@signet/shared/errors";
import type { Grant } from "../../types.ts";
import type { Fact, Facts } from "./facts.ts";
import type { Explanation, Step, StepName } from "./walk.ts";

const titles: Readonly<Record<StepName, string>> = {
  agent: "1 the agent's token",
  workload: "1 the workload's token",
  policy: "2 the policy",
  csr: "3 the CSR",
  grant: "4 what the CSR asks for",
};
const labelWidth = 24;
// What is not here is called in the configuration as it is in the facts.
const labels: Readonly<Record<string, string>> = {
  podUid: "pod uid",
  nodeUid: "node uid",
  tokenId: "token id (jti)",
  spiffeId: "SPIFFE ID",
  decidedBy: "decided by",
  denyList: "deny list",
  passedOver: "rules passed over",
  passedOverBecauseOf: "passed over because of",
  keyKind: "kind of key",
  asksFor: "asks for",
};
const hints: Partial<Record<CaErrorCode, string>> = {
  "token-not-accepted": "signet-ca inspect FILE shows what the token says; --at TIME judges as of another time",
  "key-not-allowed": "keys of the rule, or else of leaf, are the kinds that are taken",
  "csr-not-allowed": "signet-ca inspect FILE shows what the CSR asks for",
  "malformed-csr": "signet-ca inspect FILE shows what can be read of it",
};

/** An explanation for people. */
export function renderExplanation(explanation: Explanation): string {
  const lines = [headline(explanation), ""];
  for (const step of explanation.steps) lines.push(...renderStep(step), "");
  if (explanation.verdict === "issued") lines.push(...renderGrant(explanation.grant), "");
  else if (hints[explanation.code] !== undefined) lines.push(`Hint: ${hints[explanation.code]}`);
  lines.push("Not judged here: rate limits, and whether an authority can sign.");
  return `${lines.join("\n")}\n`;
}

function headline(explanation: Explanation): string {
  if (explanation.verdict === "issued") {
    const assumed = explanation.nodeBindingJudged ? "" : ", where its own node's agent asks for it";
    return `ALLOWED: the CA would sign this certificate by ${ruleText(explanation.grant.rule)}${assumed}`;
  }
  const { verdict, step, status, code } = explanation;
  const title = titles[step].slice(2);
  return verdict === "refused"
    ? `REFUSED at ${title}: the client gets ${status} ${code}`
    : `UNDECIDED at ${title}: something is missing; the client gets ${status} ${code}`;
}

const ruleText = (rule: string) => (rule === "default" ? "policy.default" : `rule ${rule}`);

function renderStep({ step, outcome, reason, facts }: Step): string[] {
  const lines = [`${titles[step]}: ${outcome}`];
  if (reason !== undefined) lines.push(line(outcome === "skipped" ? "note" : "because", reason));
  return [...lines, ...renderFacts(facts)];
}

function renderGrant({ spiffeId, dnsNames, publicKey, ttlSeconds, rule }: Grant): string[] {
  return [
    "the certificate",
    line("SPIFFE ID", spiffeId.toString()),
    line("DNS names", dnsNames.length === 0 ? "none" : dnsNames.join(", ")),
    line("kind of key", publicKey.kind),
    line("lives", formatDuration(ttlSeconds)),
    line("by", ruleText(rule)),
  ];
}

function renderFacts(facts: Facts, indent = ""): string[] {
  return Object.entries(facts).flatMap(([name, fact]) => renderFact(labels[name] ?? name, fact, indent));
}

function renderFact(label: string, fact: Fact, indent: string): string[] {
  if (fact === null) return [line(label, "not said", indent)];
  if (typeof fact === "string" || typeof fact === "number") return [line(label, String(fact), indent)];
  if (isList(fact)) return [line(label, fact.length === 0 ? "nothing" : fact.join(", "), indent)];
  const inner = renderFacts(fact, `${indent}  `);
  return inner.length === 0 ? [] : [line(label, "", indent), ...inner];
}

const isList = (fact: Fact): fact is readonly string[] => Array.isArray(fact);

// What a token or a CSR says may hold what a terminal would act on.
const printable = (text: string) => text.replace(/[^\x20-\x7e]/gu, "?");

function line(label: string, text: string, indent = ""): string {
  return printable(`  ${indent}${label.padEnd(Math.max(0, labelWidth - indent.length))}  ${text}`).trimEnd();
}

/** The same for programs. */
export function explanationJson(explanation: Explanation): string {
  const { verdict, steps, nodeBindingJudged } = explanation;
  const rest =
    explanation.verdict === "issued"
      ? { certificate: grantJson(explanation.grant) }
      : {
          step: explanation.step,
          reason: explanation.reason,
          code: explanation.code,
          status: explanation.status,
        };
  return `${JSON.stringify({ verdict, ...rest, nodeBindingJudged, steps }, null, 2)}\n`;
}

const grantJson = ({ spiffeId, dnsNames, publicKey, ttlSeconds, rule }: Grant) => ({
  spiffeId: spiffeId.toString(),
  dnsNames,
  keyKind: publicKey.kind,
  ttlSeconds,
  rule,
});
