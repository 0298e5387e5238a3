import type { Logger } from "@signet/shared/deps";

const write =
  (level: string, print: (line: string) => void): Logger["info"] =>
  (fields, message) =>
    print(JSON.stringify({ level, time: new Date().toISOString(), message, ...fields }));

/** One line of JSON each, which Workers Logs takes apart into fields. */
export const workerLogger: Logger = {
  debug: () => {},
  info: write("info", console.log),
  warn: write("warn", console.warn),
  error: write("error", console.error),
};
