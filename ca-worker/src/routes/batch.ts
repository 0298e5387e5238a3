import { type BatchResult, batchItem, batchRequest, maxBatchBytes, nodeTokenHeader } from "@signet/shared/ca-api";
import { asSignetError, type SignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import { authenticateAgent, authenticateWorkload } from "../authenticate/caller.ts";
import type { VerifiedToken } from "../authenticate/service-account.ts";
import { refreshDenyLists } from "../authorize/policy.ts";
import { type IssueDeps, issue } from "../issue.ts";
import type { Queue } from "../rate-limit/admit.ts";
import { readJson, refuseLargeBody, requireJson, validate } from "../request/body.ts";
import { itemRequestId } from "../request-id.ts";
import { jsonResponse } from "../respond/json.ts";
import { describeProblem, publicCode, retryAfterSeconds } from "../respond/problem.ts";
import type { Caller } from "../types.ts";

/**
 * `POST /v1/certificates/batch`: many workloads of one agent in one request. The agent's token counts for all of them; an
 * item that fails does so alone, with the problem that a request of its own would have had.
 */
export function batch(deps: IssueDeps, onInternal: (error: SignetError, requestId: string) => void): Hono<AppEnv> {
  return new Hono<AppEnv>().post("/", async (context) => {
    const { req: request } = context;
    const requestId = context.get("requestId");
    let agent: VerifiedToken | undefined;
    let items: readonly unknown[];
    try {
      refuseLargeBody(request, maxBatchBytes);
      requireJson(request);
      agent = await authenticateAgent(request.header(nodeTokenHeader)?.trim() || undefined, deps.verifier);
      items = validate(batchRequest, await readJson(request, maxBatchBytes, deps.setTimer)).requests;
    } catch (error) {
      const known = asSignetError(error, "internal");
      await deps.audit.refused(requestId, known, undefined);
      throw known;
    }
    deps.audit.batch(requestId, items.length, agent?.claims);
    const queue: Queue = { waiting: 0 };
    // Once for all: of a list that nobody has read yet each item would start a read of its own.
    await Promise.all([refreshDenyLists(deps.policy), deps.authorities.refresh()]);
    const results = await Promise.all(
      items.map((item, index) => answerItem(itemRequestId(requestId, index), item, agent, queue, deps, onInternal)),
    );
    return jsonResponse(JSON.stringify({ results }), 200, requestId);
  });
}

async function answerItem(
  requestId: string,
  item: unknown,
  agent: VerifiedToken | undefined,
  queue: Queue,
  deps: IssueDeps,
  onInternal: (error: SignetError, requestId: string) => void,
): Promise<BatchResult> {
  let caller: Caller | undefined;
  try {
    const { token, ...asked } = validate(batchItem, item);
    caller = await authenticateWorkload(token.trim() || undefined, agent, deps.verifier);
    return { status: 201, certificate: await issue(requestId, caller, asked, deps, queue) };
  } catch (error) {
    const known = asSignetError(error, "internal");
    await deps.audit.refused(requestId, known, caller);
    if (publicCode(known) === "internal") onInternal(known, requestId);
    const problem = describeProblem(known, requestId);
    const wait = retryAfterSeconds(known);
    return { status: problem.status, problem, ...(wait !== undefined && { retryAfterSeconds: wait }) };
  }
}
