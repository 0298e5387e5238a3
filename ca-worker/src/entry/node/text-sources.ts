import { readFile } from "node:fs/promises";
import { SignetError } from "@signet/shared/errors";
import type { TextSource } from "../../text-source.ts";

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
export function environmentSource(name: string, environment: NodeJS.ProcessEnv): TextSource {
  return {
    read() {
      const text = environment[name];
      if (text === undefined) throw new SignetError("source-unavailable", `the variable ${name} is not set`);
      return text;
    },
  };
}
