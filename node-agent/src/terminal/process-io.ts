import type { CommandIo } from "./io.ts";
import { terminalOf } from "./terminal.ts";

/**
 * The process as a command sees it. Called once: it listens to the process.
 * @param stays the command goes on until it is interrupted, and then has something left to do; any other just ends
 */
export function processIo({ stays }: { readonly stays: boolean }): CommandIo {
  const { env, stderr, stdout } = process;
  const interrupted = new AbortController();
  for (const signal of stays ? (["SIGINT", "SIGTERM", "SIGHUP"] as const) : []) {
    // The second one finds no listener and ends the process at once.
    process.once(signal, () => interrupted.abort());
  }
  // Whoever read has seen enough, as `head` does; what is written from here on is for nobody.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    interrupted.abort();
  });
  return {
    out: terminalOf(stdout, env),
    tell: (text) => stderr.write(text),
    env,
    now: () => Date.now() / 1_000,
    interrupted: interrupted.signal,
  };
}
