import type { Logger } from "@signet/shared/deps";
import { type Level, pino } from "pino";

/** JSON lines on standard error. */
export function createLogger(level: Level | "silent"): Logger {
  const timestamp = () => `,"time":"${new Date().toISOString()}"`;
  return pino(
    { level, base: null, timestamp, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ fd: 2, sync: true }),
  );
}
