import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SignetError } from "@signet/shared/errors";
import { type Environment, environmentCredentials } from "../../aws/credentials.ts";
import { secretSource } from "../../aws/secrets-manager.ts";
import type { Platform } from "../../compose.ts";
import { awsSecretOfStore } from "../../config/location.ts";
import type { TextSource } from "../../text-source.ts";

export interface OpenTextOptions extends Pick<Platform, "fetch" | "clock"> {
  /** The folder that `file:` paths start from. */
  readonly folder: string;
  readonly environment: Environment;
}

/** The text at a location of a kind that Node and Lambda share; undefined for another kind. */
export function openText(location: string, options: OpenTextOptions): TextSource | undefined {
  const { folder, environment, fetch, clock } = options;
  if (location.startsWith("env:")) return environmentSource(location.slice("env:".length), environment);
  if (location.startsWith("file:")) return fileSource(pathAt(folder, location));
  const secret = awsSecretOfStore(location);
  const credentials = environmentCredentials(environment);
  return secret && secretSource(secret, { fetch, clock, environment, credentials, pause: (ms) => pause(ms) });
}

/** The path of a `file:` location. */
export function pathAt(folder: string, location: string): string {
  return resolve(folder, location.replace(/^file:/, ""));
}

/** A text in a file: for development, and for volumes that something safer fills. */
export function fileSource(path: string): TextSource {
  return {
    async read() {
      try {
        return await readFile(path, "utf8");
      } catch (cause) {
        throw new SignetError(
          "source-unavailable",
          `${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`,
          { cause },
        );
      }
    },
  };
}

/** A text in a variable of the environment. */
function environmentSource(name: string, environment: Environment): TextSource {
  return {
    read() {
      const text = environment[name];
      if (text === undefined) throw new SignetError("source-unavailable", `the variable ${name} is not set`);
      return text;
    },
  };
}
