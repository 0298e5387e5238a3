import { SignetError } from "@signet/shared/errors";
import type { Caller } from "../types.ts";
import type { TokenVerifier, VerifiedToken } from "./service-account.ts";

/** Tokens as they came with a request; undefined where there was none. */
export interface Tokens {
  readonly workload: string | undefined;
  readonly node: string | undefined;
}

/**
 * Refuses a request whose tokens are not even there, before anything else of it is read.
 * @throws SignetError `token-missing`
 */
export function requireTokens({ workload, node }: Tokens, { binding }: Pick<TokenVerifier, "binding">): void {
  if (workload === undefined) throw new SignetError("token-missing", "the request has no bearer token");
  if (binding === "all" && node === undefined) throw new SignetError("token-missing", "the request has no agent token");
}

/**
 * Step 1, first half: the agent that asks; undefined where node binding is off, or none asks for an issuer whose is.
 * @throws SignetError `token-missing`, `token-not-accepted`, `node-not-entitled`, `issuer-unavailable`
 */
export async function authenticateAgent(
  nodeToken: string | undefined,
  verifier: TokenVerifier,
): Promise<VerifiedToken | undefined> {
  if (verifier.binding === "none") return undefined;
  if (nodeToken === undefined) {
    if (verifier.binding === "all") throw new SignetError("token-missing", "the request has no agent token");
    return undefined;
  }
  const agent = await verifier.verifyRepeated(nodeToken);
  const { agents } = agent.issuer;
  if (agents === "off") return undefined;
  if (!agents.has(accountOf(agent)))
    throw notEntitled(`the agent token's service account is not on the list of agents: it is of ${placeOf(agent)}`);
  return agent;
}

/**
 * Step 1, second half: the workload that the agent asks for.
 * @param agent what {@link authenticateAgent} gave
 * @throws SignetError as {@link authenticateAgent}
 */
export async function authenticateWorkload(
  workloadToken: string | undefined,
  agent: VerifiedToken | undefined,
  verifier: TokenVerifier,
): Promise<Caller> {
  if (workloadToken === undefined) throw new SignetError("token-missing", "the request has no workload token");
  const { issuer, claims } = await verifier.verify(workloadToken);
  const caller = { issuer, trustDomain: issuer.trustDomain, workload: claims };
  if (issuer.agents === "off") return { ...caller, agent: undefined };
  if (agent === undefined) throw notEntitled("node binding is on for the token's issuer, and no agent asks");
  bindToNode({ issuer, claims }, agent, issuer.agents);
  return { ...caller, agent: agent.claims };
}

/**
 * Step 1: who asks, and for whom.
 * @throws SignetError as {@link authenticateAgent}
 */
export async function authenticate(tokens: Tokens, verifier: TokenVerifier): Promise<Caller> {
  requireTokens(tokens, verifier);
  const agent = await authenticateAgent(tokens.node, verifier);
  return authenticateWorkload(tokens.workload, agent, verifier);
}

/** Both tokens must be of one cluster and one node, and an agent can't vouch for itself (node binding). */
function bindToNode(workload: VerifiedToken, agent: VerifiedToken, agents: ReadonlySet<string>): void {
  const refuse = (reason: string) => notEntitled(`${reason}: ${placeOf(workload)} was asked for by ${placeOf(agent)}`);
  if (workload.issuer !== agent.issuer) throw refuse("the two tokens are of different issuers");
  if (agents.has(accountOf(workload))) throw refuse("an agent's token is no workload's token");
  if (agent.claims.nodeUid === undefined || workload.claims.nodeUid === undefined) {
    throw refuse("a token names no node; node binding needs Kubernetes 1.30 or newer and a scheduled pod");
  }
  if (agent.claims.nodeUid !== workload.claims.nodeUid) throw refuse("the two tokens are of different nodes");
}

/** Whose token it is, for the log: a token that is used on another node than its pod's may be a stolen one. */
function placeOf({ issuer, claims }: VerifiedToken): string {
  const { namespace, podName, nodeName = "no node" } = claims;
  return `pod ${namespace}/${podName} (${nodeName}, ${issuer.issuer})`;
}

function accountOf({ claims }: VerifiedToken): string {
  return `${claims.namespace}/${claims.serviceAccount}`;
}

function notEntitled(reason: string): SignetError {
  return new SignetError("node-not-entitled", reason);
}
