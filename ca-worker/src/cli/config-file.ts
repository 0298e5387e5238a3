import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { SignetError } from "@signet/shared/errors";
import { type Config, parseConfig } from "../config.ts";

export interface ConfigFile {
  readonly config: Config;
  readonly source: string;
  /** The folder that `file:` paths in it start from. */
  readonly folder: string;
}

/** Reads `--config FILE`, or `SIGNET_CONFIG` where no file is named. */
export async function readConfig(path: string | undefined): Promise<ConfigFile> {
  if (path === undefined) {
    const text = process.env.SIGNET_CONFIG;
    if (text === undefined)
      throw new SignetError("config-invalid", "no configuration: give --config FILE, or the document in SIGNET_CONFIG");
    return { config: parseConfig(text, "SIGNET_CONFIG"), source: "SIGNET_CONFIG", folder: process.cwd() };
  }
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new SignetError(
      "config-invalid",
      `--config ${path}: it cannot be read (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    );
  }
  return { config: parseConfig(text, path), source: path, folder: dirname(resolve(path)) };
}
