import type { CommandIo } from "@signet/node-agent/terminal/io";
import { terminalOf } from "@signet/node-agent/terminal/terminal";

export interface TestIo {
  readonly io: CommandIo;
  /** What came on standard output. */
  readonly shown: () => string;
  /** What came on standard error. */
  readonly told: () => string;
  readonly interrupt: () => void;
}

export interface TestIoOptions {
  /** Undefined where output goes into a pipe. */
  readonly window?: { readonly columns: number; readonly rows: number };
  readonly env?: Readonly<Record<string, string>>;
  readonly now?: () => number;
  /** Called after each piece of output. */
  readonly onOutput?: (shown: string) => void;
}

/** A command's surroundings, as a pipe or a terminal gives them. */
export function testIo({ window, env = {}, now = () => Date.now() / 1_000, onOutput }: TestIoOptions = {}): TestIo {
  let shown = "";
  let told = "";
  const interrupted = new AbortController();
  const output = {
    ...(window === undefined ? {} : { isTTY: true, ...window }),
    write: (text: string) => {
      shown += text;
      onOutput?.(shown);
    },
  };
  const io: CommandIo = {
    out: terminalOf(output, env),
    tell: (text) => {
      told += text;
    },
    env,
    now,
    interrupted: interrupted.signal,
  };
  return { io, shown: () => shown, told: () => told, interrupt: () => interrupted.abort() };
}
