import { certificateRequest } from "@signet/shared/ca-api";
import type { Awaitable } from "@signet/shared/deps";
import { asSignetError, type CaErrorCode, type SignetError } from "@signet/shared/errors";
import { authenticateAgent, authenticateWorkload } from "../../authenticate/caller.ts";
import type { TokenVerifier, VerifiedToken } from "../../authenticate/service-account.ts";
import { authorize } from "../../authorize/grant.ts";
import { entitle, judge, type Policy } from "../../authorize/policy.ts";
import type { Crypto } from "../../crypto.ts";
import { validate } from "../../request/body.ts";
import { readCsr } from "../../request/csr.ts";
import { problemKinds, publicCode } from "../../respond/problem.ts";
import type { Grant } from "../../types.ts";
import { describeAccount, describeDecision, type Facts } from "./facts.ts";

/** What would be sent to the CA. */
export interface ExplainRequest {
  readonly token: string;
  /** Undefined: node binding is not judged. */
  readonly nodeToken: string | undefined;
  /** As the body of a request has it. */
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
}

export interface ExplainDeps {
  readonly verifier: TokenVerifier;
  readonly policy: Policy;
  readonly crypto: Crypto;
}

/** The steps of an issuance before the signature (issue.ts). */
export type StepName = "agent" | "workload" | "policy" | "csr" | "grant";

export interface Step {
  readonly step: StepName;
  readonly outcome: "passed" | "refused" | "undecided" | "skipped";
  /** Why it is not passed. */
  readonly reason?: string;
  readonly facts: Facts;
}

/** What the CA would do. */
export type Verdict =
  | { readonly verdict: "issued"; readonly grant: Grant }
  | {
      /** "undecided": the CA cannot know now, and says 503. */
      readonly verdict: "refused" | "undecided";
      readonly step: StepName;
      readonly reason: string;
      /** What the client sees of it. */
      readonly code: CaErrorCode;
      readonly status: number;
    };

export type Explanation = Verdict & {
  readonly steps: readonly Step[];
  /** False where no agent's token was given though the issuer wants one: what follows assumes a right one. */
  readonly nodeBindingJudged: boolean;
};

/** Ends a walk at the step that does not let it pass. */
class Stopped {
  readonly step: StepName;
  readonly error: SignetError;

  constructor(step: StepName, error: SignetError) {
    this.step = step;
    this.error = error;
  }
}

/**
 * Takes a request through the steps of the CA, by the very functions that the CA takes it through, up to the signature.
 * Not gone through are rate limits, and whether an authority can sign.
 */
export async function explain(request: ExplainRequest, deps: ExplainDeps): Promise<Explanation> {
  const steps: Step[] = [];
  let nodeBindingJudged = true;

  async function walk<Value>(step: StepName, work: (facts: Facts) => Awaitable<Value>): Promise<Value> {
    const facts: Facts = {};
    try {
      const value = await work(facts);
      steps.push({ step, outcome: "passed", facts });
      return value;
    } catch (caught) {
      const error = asSignetError(caught, "internal");
      // A fault of ours is no answer.
      if (publicCode(error) === "internal") throw error;
      steps.push({ step, outcome: outcomeOf(error), reason: error.message, facts });
      throw new Stopped(step, error);
    }
  }

  async function walkAgent(): Promise<VerifiedToken | undefined> {
    if (request.nodeToken === undefined) {
      const reason = "no agent's token was given: node binding is not judged";
      if (deps.verifier.binding !== "none") steps.push({ step: "agent", outcome: "skipped", reason, facts: {} });
      return undefined;
    }
    return walk("agent", async (facts) => {
      const agent = await authenticateAgent(request.nodeToken, deps.verifier);
      if (agent !== undefined) Object.assign(facts, describeAccount(agent.claims));
      return agent;
    });
  }

  async function walkAll(): Promise<Grant> {
    const agent = await walkAgent();
    const caller = await walk("workload", async (facts) => {
      const { issuer, claims } = await deps.verifier.verify(request.token);
      Object.assign(facts, describeAccount(claims));
      if (request.nodeToken !== undefined) return authenticateWorkload(request.token, agent, deps.verifier);
      // As that gives it where node binding is off.
      nodeBindingJudged = issuer.agents === "off";
      return { issuer, trustDomain: issuer.trustDomain, workload: claims, agent: undefined };
    });
    const entitlement = await walk("policy", async (facts) => {
      Object.assign(facts, describeDecision(await judge(caller, deps.policy), caller, deps.policy));
      return entitle(caller, deps.policy);
    });
    const csr = await walk("csr", async (facts) => {
      const { csr: pem } = validate(certificateRequest, { csr: request.csr, ttlSeconds: request.ttlSeconds });
      const read = await readCsr(pem, entitlement.keys, deps.crypto);
      Object.assign(facts, { keyKind: read.publicKey.kind, asksFor: read.uris });
      return read;
    });
    return walk("grant", () => authorize(entitlement, csr, request.ttlSeconds));
  }

  try {
    const grant = await walkAll();
    return { verdict: "issued", grant, steps, nodeBindingJudged };
  } catch (stopped) {
    if (!(stopped instanceof Stopped)) throw stopped;
    const { step, error } = stopped;
    const code = publicCode(error);
    const { status } = problemKinds[code];
    return { verdict: outcomeOf(error), step, reason: error.message, code, status, steps, nodeBindingJudged };
  }
}

/** 503 is the one answer that says nothing of the request. */
function outcomeOf(error: SignetError): "refused" | "undecided" {
  return problemKinds[publicCode(error)].status === 503 ? "undecided" : "refused";
}
