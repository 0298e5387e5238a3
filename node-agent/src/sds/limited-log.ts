import type { Logger } from "@signet/shared/deps";

// What a person can read; a client that makes more has been seen by then, and the metrics go on counting.
const burst = 50;
const linesPerSecond = 1;

/**
 * A log for lines that clients cause: a client can make any number of them, so they pass only at a rate that neither
 * fills a disk nor buries the rest. The next line that passes says how many did not. Errors, which are ours, all pass.
 * @param seconds a clock that only goes forward
 */
export function limitedLog(log: Logger, seconds: () => number = () => performance.now() / 1_000): Logger {
  let budget = burst;
  let filledAt = seconds();
  let leftOut = 0;
  const limited =
    (level: "info" | "warn"): Logger["warn"] =>
    (fields, message) => {
      const now = seconds();
      budget = Math.min(burst, budget + (now - filledAt) * linesPerSecond);
      filledAt = now;
      if (budget < 1) {
        leftOut++;
        return;
      }
      budget--;
      log[level](leftOut === 0 ? fields : { ...fields, linesLeftOut: leftOut }, message);
      leftOut = 0;
    };
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: limited("info"),
    warn: limited("warn"),
    error: (fields, message) => log.error(fields, message),
  };
}
