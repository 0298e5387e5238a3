import type { Awaitable } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { problemResponse } from "../../respond/problem.ts";
import { type HttpResult, parseEvent, requestOf, resultOf } from "./event.ts";
import type { LambdaLogger } from "./log.ts";

/** What Lambda tells a handler beside the event; the part that is used here. */
export interface LambdaContext {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

export type LambdaHandler = (event: unknown, context: LambdaContext) => Promise<HttpResult>;

/** What answers requests: the app, or the reason why there is none. */
export type Answerer = (request: Request) => Awaitable<Response>;

// Lambda ends a function that is late, and its client sees a 502 that says nothing; this much before, we say something.
const marginMs = 500;

/** The function's handler. It answers every HTTP event of payload format 2.0; for another it fails, and the log says why. */
export function createHandler(answer: Answerer, logger: LambdaLogger): LambdaHandler {
  return (event, context) =>
    logger.during(context.awsRequestId, async () => {
      const parsed = parseEvent(event);
      if ("unsupported" in parsed) {
        const message = `the event is ${parsed.unsupported}`;
        logger.error({ event: "unsupported-event", error: message }, "the function cannot read its event");
        // For whoever invoked the function without HTTP, and may, the reason is the answer.
        if (!parsed.http) throw new SignetError("malformed-request", message);
        return resultOf(problemResponse(new SignetError("internal", message), context.awsRequestId));
      }
      const aborter = new AbortController();
      let request: Request;
      try {
        request = requestOf(parsed, aborter.signal);
      } catch (cause) {
        const { method } = parsed.requestContext.http;
        return resultOf(
          problemResponse(new SignetError("method-not-allowed", method, { cause }), context.awsRequestId),
        );
      }
      return resultOf(await inTime(() => answer(request), aborter, context, logger));
    });
}

async function inTime(
  answer: () => Awaitable<Response>,
  aborter: AbortController,
  context: LambdaContext,
  logger: LambdaLogger,
): Promise<Response> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Response>((resolve) => {
    const limit = Math.max(0, context.getRemainingTimeInMillis() - marginMs);
    timer = setTimeout(() => {
      logger.error({ event: "time-limit" }, "the request took as long as the function may run");
      resolve(problemResponse(new SignetError("cannot-sign", "out of time"), context.awsRequestId));
      aborter.abort();
    }, limit);
  });
  try {
    return await Promise.race([answer(), late]);
  } catch (error) {
    const { name } = asSignetError(error, "internal");
    logger.error({ event: "internal", error: name }, "request failed");
    return problemResponse(new SignetError("internal", name), context.awsRequestId);
  } finally {
    clearTimeout(timer);
  }
}
