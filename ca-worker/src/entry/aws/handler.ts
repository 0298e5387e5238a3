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

/** What a handler serves. */
export interface Served {
  /** The app, or the reason why there is none. */
  answer(request: Request): Awaitable<Response>;
  /** Sends on its way what waits to be reported. Never fails. */
  flush(): Promise<unknown>;
}

// Lambda ends a function that is late, and its client sees a 502 that says nothing; this much before, we say something.
const marginMs = 500;
// Once the answer is given Lambda freezes the function, so that reports go first; but a place that takes none is not waited for.
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
    const aborter = new AbortController();
    let request: Request;
    try {
      request = requestOf(parsed, aborter.signal);
    } catch (cause) {
      return fail(new SignetError("method-not-allowed", parsed.requestContext.http.method, { cause }));
    }
    try {
      const response = await within(context.getRemainingTimeInMillis() - marginMs, answer(request));
      if (response !== undefined) {
        await within(Math.min(maxFlushMs, context.getRemainingTimeInMillis() - marginMs), flush());
        return response;
      }
      aborter.abort();
      logger.error({ event: "time-limit" }, "the request took as long as the function may run");
      return fail(new SignetError("cannot-sign", "out of time"));
    } catch (error) {
      const { name } = asSignetError(error, "internal");
      logger.error({ event: "internal", error: name }, "request failed");
      return fail(new SignetError("internal", name));
    }
  }

  return (event, context) => logger.during(context.awsRequestId, async () => resultOf(await handle(event, context)));
}

/** What `work` gives, or undefined when it takes longer. */
export async function within<T>(ms: number, work: Awaitable<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
