import { readFileSync } from "node:fs";
import { asSignetError } from "@signet/shared/errors";
import { injectError } from "./documents.ts";
import type { InjectFlags } from "./flags.ts";
import { inject } from "./inject.ts";
import { parseInjectOptions } from "./options.ts";

/**
 * Runs `signet-agent inject`: writes the result to standard output and notes to standard error.
 * @throws SignetError `config-invalid`; then nothing was written
 */
export function runInject({ file, ...flags }: InjectFlags): void {
  const options = parseInjectOptions(flags);
  const { output, notes } = inject(read(file), options);
  process.stderr.write(notes.map((note) => `signet-agent: ${note}\n`).join(""));
  process.stdout.write(output);
}

function read(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file === "-" ? 0 : file));
  } catch (error) {
    throw injectError([`--file: ${file} cannot be read: ${asSignetError(error, "config-invalid").message}`]);
  }
}
