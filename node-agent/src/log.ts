import type { Logger } from "@signet/shared/deps";
import pino from "pino";
import type { LogLevel } from "./log-levels.ts";

/** JSON lines on standard error. What may stand in them is LogFields' business: no token, key, CSR or certificate. */
export function createLog(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: { program: "signet-agent" },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // In order and complete even when the process ends in the next moment.
    pino.destination({ dest: 2, sync: true }),
  );
}
