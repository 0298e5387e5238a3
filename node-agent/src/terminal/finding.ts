import { clean, wrap } from "@signet/shared/terminal/text";
import type { Terminal, Tone } from "./terminal.ts";

/** One thing that was looked at: what was seen, and what to do about it. */
export interface Finding {
  readonly level: "ok" | "warn" | "fail";
  /** May hold foreign text. */
  readonly seen: string;
  /** One concrete step each; none where nothing is to be done. */
  readonly mend?: readonly string[];
}

export const ok = (seen: string): Finding => ({ level: "ok", seen });
export const warn = (seen: string, ...mend: string[]): Finding => ({ level: "warn", seen, mend });
export const fail = (seen: string, ...mend: string[]): Finding => ({ level: "fail", seen, mend });

export const toneOf: Record<Finding["level"], Tone> = { ok: "good", warn: "warning", fail: "bad" };

const indent = "        ";

/** Lines for a person: `  ok    what was seen`, and below it `-> how to mend it`. */
export function renderFinding({ level, seen, mend = [] }: Finding, { columns, paint }: Terminal): string[] {
  const width = Math.max(30, columns() - indent.length);
  const [first = "", ...rest] = wrap(clean(seen), width);
  return [
    `  ${paint(toneOf[level], level.padEnd(4))}  ${first}`,
    ...rest.map((line) => indent + line),
    ...mend.flatMap((step) => {
      const [head = "", ...more] = wrap(clean(step), width - 3);
      return [`${indent}${paint("strong", "->")} ${head}`, ...more.map((line) => `${indent}   ${line}`)];
    }),
  ];
}
