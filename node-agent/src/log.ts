import type { Logger } from "@signet/shared/deps";
import pino from "pino";
import type { LogLevel } from "./log-levels.ts";
import { LogSink, standardError } from "./log-sink.ts";

/**
 * JSON lines on standard error, in order and complete even when the process ends in the next moment. What may stand in
 * them is LogFields' business: no token, key, CSR or certificate.
 * @param onLost called for each line that could not be written
 */
export function createLog(level: LogLevel, onLost: () => void): Logger {
  return pino(
    {
      level,
      base: { program: "signet-agent" },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    new LogSink(standardError(), onLost),
  );
}
