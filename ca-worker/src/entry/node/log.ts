import type { Logger } from "@signet/shared/deps";
import { type Level, pino } from "pino";

/** A logger whose lines may wait for the end of their turn. */
export interface HeldLogger extends Logger {
  /** Writes what waits, and comes back when the system has it. */
  flush(): void;
}

/** JSON lines on standard error, by {@link holdLines}. Whatever ends the process but a kill lets them out first. */
export function createLogger(level: Level | "silent"): HeldLogger {
  const out = pino.destination({ fd: 2, sync: true });
  const lines = holdLines((text) => out.write(text));
  process.on("exit", lines.flush);
  const timestamp = () => `,"time":"${new Date().toISOString()}"`;
  const logger = pino({ level, base: null, timestamp, formatters: { level: (label) => ({ level: label }) } }, lines);
  return Object.assign(logger, { flush: lines.flush });
}

// The lines of the largest batch come to some hundred KiB.
const maxHeldCharacters = 64 * 1024;

/**
 * Lets the lines of one turn of the event loop out together, because a write costs more than the lines in it: a tenth of
 * a certificate in a batch. Whoever answers a request flushes first, so that no answer leaves before its lines: what a kill
 * takes with it are lines on certificates that nobody got.
 */
export function holdLines(out: (text: string) => void): { write(line: string): void; flush(): void } {
  let held = "";
  const flush = () => {
    const text = held;
    held = "";
    if (text !== "") out(text);
  };
  return {
    write(line) {
      if (held === "") setImmediate(flush);
      held += line;
      if (held.length >= maxHeldCharacters) flush();
    },
    flush,
  };
}
