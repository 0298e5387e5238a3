import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock, LogFields, Logger } from "@signet/shared/deps";

export interface LambdaLogger extends Logger {
  /** Runs an invocation so that its lines have Lambda's request id, by which CloudWatch ties them to Lambda's own. */
  during<T>(awsRequestId: string, run: () => T): T;
}

export interface LambdaLoggerOptions {
  readonly write: (line: string) => void;
  readonly clock: Clock;
  /** Whether lines of level debug are written. */
  readonly debug: boolean;
}

/**
 * One line of JSON for each event, with the `timestamp` and `level` by which Lambda sorts and filters them where the function's
 * log format is JSON.
 */
export function createLambdaLogger({ write, clock, debug }: LambdaLoggerOptions): LambdaLogger {
  // A managed instance serves several invocations at once; a variable would mix them up.
  const invocation = new AsyncLocalStorage<string>();
  const at = (level: string) => (fields: LogFields, message: string) => {
    const timestamp = new Date(clock() * 1000).toISOString();
    write(`${JSON.stringify({ timestamp, level, message, awsRequestId: invocation.getStore(), ...fields })}\n`);
  };
  return {
    debug: debug ? at("debug") : () => {},
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    during: (awsRequestId, run) => invocation.run(awsRequestId, run),
  };
}
