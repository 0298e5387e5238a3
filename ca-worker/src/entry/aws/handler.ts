import { asSignetError, SignetError } from "@signet/shared/errors";
import { problemResponse } from "../../respond/problem.ts";
import { within } from "../../time-limit.ts";
import { systemTimer } from "../timer.ts";
import { type HttpResult, parseEvent, requestOf, resultOf } from "./event.ts";
import type { LambdaLogger } from "./log.ts";

/** What Lambda tells a handler beside the event; the part that is used here. */
export interface LambdaContext {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

export type LambdaHandler = (event: unknown, context: LambdaContext) => Promise<HttpResult>;

/** What a handler serves. */
export interface Served {
  /** The app, or the reason why there is none. */
  answer(request: Request): Promise<Response>;
  /** Sends on its way what waits to be reported. Never fails. */
  flush(): Promise<unknown>;
}

// Lambda ends a function that is late, and its client sees a 502 that says nothing; this much before, we say something.
const marginMs = 500;
// How long an answer waits for a place that takes no reports.
const maxFlushMs = 500;

/** The function's handler. It answers every HTTP event of payload format 2.0; for another it fails, and the log says why. */
export function createHandler({ answer, flush }: Served, logger: LambdaLogger): LambdaHandler {
  async function handle(event: unknown, context: LambdaContext): Promise<Response> {
    const fail = (error: SignetError) => problemResponse(error, context.awsRequestId);
    const parsed = parseEvent(event);
    if ("unsupported" in parsed) {
      const error = new SignetError("internal", `the event is ${parsed.unsupported}`);
      logger.error({ event: "unsupported-event", error: error.message }, "the function cannot read its event");
      // For whoever invoked the function without HTTP, and may, the reason is the answer.
      if (!parsed.http) throw error;
      return fail(error);
    }
    const patience = () => context.getRemainingTimeInMillis() - marginMs;
    try {
      const response = await within(patience(), systemTimer, answer(requestOf(parsed)), outOfTime);
      // Once the answer is given Lambda freezes the function, so that reports go first.
      await within(Math.min(maxFlushMs, patience()), systemTimer, flush(), outOfTime).catch(() => undefined);
      return response;
    } catch (error) {
      const known = asSignetError(error, "internal");
      // A fault of ours makes an alarm (infra/aws/template.yaml); no client can.
      const ours = known.code !== "method-not-allowed";
      if (ours) logger.error({ event: "request-failed", code: known.code }, "request failed");
      return fail(known);
    }
  }

  return (event, context) => logger.during(context.awsRequestId, async () => resultOf(await handle(event, context)));
}

function outOfTime(): SignetError {
  return new SignetError("cannot-sign", "the function may run no longer");
}
