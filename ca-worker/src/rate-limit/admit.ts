import { SignetError } from "@signet/shared/errors";
import type { Caller } from "../types.ts";
import type { RateLimiter } from "./limiter.ts";

/** The limits of a CA; undefined where there is none. */
export interface RateLimits {
  readonly perNode?: RateLimiter | undefined;
  readonly perIssuer?: RateLimiter | undefined;
}

/** Items of one batch that were refused for their node's or issuer's rate so far: the next one waits behind them. */
export interface Queue {
  waiting: number;
}

/**
 * Counts one certificate against the rates of the caller's node and issuer. Only who is authenticated is counted, under
 * what its verified token says: nobody uses up the rate of another node.
 * @throws SignetError `rate-limited` with the seconds to wait
 */
export async function admit(caller: Caller, limits: RateLimits, queue: Queue = { waiting: 0 }): Promise<void> {
  const { perNode, perIssuer } = limits;
  // First the node: what it is refused must not use up what the other nodes of its cluster share.
  if (perNode !== undefined) await count(perNode, nodeKey(caller), "node", queue);
  if (perIssuer !== undefined) await count(perIssuer, caller.issuer.issuer, "issuer", queue);
}

async function count(limiter: RateLimiter, key: string, whose: "node" | "issuer", queue: Queue): Promise<void> {
  const answer = limiter.admit(key, queue.waiting);
  // Not awaited where that need not be: the items of a batch go through here side by side, and each is to see the queue.
  const waitSeconds = answer instanceof Promise ? await answer : answer;
  if (waitSeconds === undefined) return;
  queue.waiting++;
  throw new SignetError("rate-limited", `the rate of the caller's ${whose} is used up`, {
    retryAfterSeconds: waitSeconds,
  });
}

/** By the agent's token, or where no agent asks by the pod's own. A pod of no node is one by itself. */
function nodeKey({ agent, issuer, workload }: Caller): string {
  const { nodeUid } = agent ?? workload;
  return JSON.stringify(nodeUid === undefined ? [issuer.issuer, "pod", workload.podUid] : [issuer.issuer, nodeUid]);
}
