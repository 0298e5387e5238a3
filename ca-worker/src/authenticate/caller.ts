import { SignetError } from "@signet/shared/errors";
import type { Caller } from "../types.ts";
import type { TokenVerifier, VerifiedToken } from "./service-account.ts";

/** Tokens as they came with a request; undefined where there was none. */
export interface Tokens {
  readonly workload: string | undefined;
  readonly node: string | undefined;
}

/** Refuses a request whose tokens are not even there, before anything else of it is read. */
export function requireTokens(tokens: Tokens, nodeBinding: boolean): void {
  if (tokens.workload === undefined) throw new SignetError("token-missing", "the request has no bearer token");
  if (nodeBinding && tokens.node === undefined)
    throw new SignetError("token-missing", "the request has no agent token");
}

/**
 * Step 1: who asks, and for whom.
 * @param agents service accounts of agents as `namespace/name`, or "off" for no node binding
 * @throws SignetError `token-missing`, `token-not-accepted`, `node-not-entitled`, `issuer-unavailable`
 */
export async function authenticate(
  tokens: Tokens,
  verifier: TokenVerifier,
  agents: ReadonlySet<string> | "off",
): Promise<Caller> {
  requireTokens(tokens, agents !== "off");
  const { workload: workloadToken = "", node: nodeToken = "" } = tokens;
  if (agents === "off") {
    const { issuer, claims } = await verifier.verify(workloadToken);
    return { trustDomain: issuer.trustDomain, workload: claims, agent: undefined };
  }
  const agent = await verifier.verifyRepeated(nodeToken);
  if (!agents.has(accountOf(agent)))
    throw notEntitled("the agent token's service account is not on the list of agents");
  const workload = await verifier.verify(workloadToken);
  bindToNode(workload, agent, agents);
  return { trustDomain: workload.issuer.trustDomain, workload: workload.claims, agent: agent.claims };
}

/** Both tokens must be of one cluster and one node, and an agent can't vouch for itself (design §4, node binding). */
function bindToNode(workload: VerifiedToken, agent: VerifiedToken, agents: ReadonlySet<string>): void {
  if (workload.issuer !== agent.issuer) throw notEntitled("the two tokens are of different issuers");
  if (agents.has(accountOf(workload))) throw notEntitled("an agent's token is no workload's token");
  if (agent.claims.nodeUid === undefined || workload.claims.nodeUid === undefined) {
    throw notEntitled("a token names no node; node binding needs Kubernetes 1.30 or newer and a scheduled pod");
  }
  if (agent.claims.nodeUid !== workload.claims.nodeUid) throw notEntitled("the two tokens are of different nodes");
}

function accountOf({ claims }: VerifiedToken): string {
  return `${claims.namespace}/${claims.serviceAccount}`;
}

function notEntitled(reason: string): SignetError {
  return new SignetError("node-not-entitled", reason);
}
