import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { type Config, parseConfig } from "../config.ts";
import { findingOf, formatFinding } from "./check/finding.ts";

/** The text of a configuration, not looked at yet. */
export interface ConfigText {
  readonly text: string;
  /** What it is called in messages. */
  readonly source: string;
  /** The folder that `file:` paths in it start from. */
  readonly folder: string;
}

export interface ConfigFile extends ConfigText {
  readonly config: Config;
}

export const configFlag = "--config <file>";
export const configFlagHelp =
  "the CA's configuration (JSON, comments allowed); without it, the document in SIGNET_CONFIG";

/**
 * The text of `--config FILE`, or of `SIGNET_CONFIG` where no file is named.
 * @throws SignetError `config-invalid` when there is none
 */
export async function readConfigText(path: string | undefined): Promise<ConfigText> {
  if (path === undefined) {
    const text = process.env.SIGNET_CONFIG;
    if (text === undefined)
      throw new SignetError("config-invalid", "no configuration: give --config FILE, or the document in SIGNET_CONFIG");
    return { text, source: "SIGNET_CONFIG", folder: process.cwd() };
  }
  try {
    return { text: await readFile(path, "utf8"), source: path, folder: dirname(resolve(path)) };
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    throw new SignetError("config-invalid", `--config ${path}: it cannot be read (${why})`, { cause });
  }
}

/** @throws SignetError `config-invalid` with the place of every fault */
export async function readConfig(path: string | undefined): Promise<ConfigFile> {
  const file = await readConfigText(path);
  return { ...file, config: await locating(file, () => parseConfig(file.text, file.source)) };
}

/** Does something with a configuration; the faults that show in it are told with their lines and columns. */
export async function locating<T>({ text, source }: ConfigText, task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const { code, faults } = asSignetError(error, "internal");
    if (faults === undefined) throw error;
    const lines = faults.map((fault) => `  ${formatFinding(source, findingOf(text, "error", fault))}`);
    throw new SignetError(code, [`${source} is not a valid configuration:`, ...lines].join("\n"), { cause: error });
  }
}
