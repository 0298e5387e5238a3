import { readFile } from "node:fs/promises";
import { SignetError } from "@signet/shared/errors";
import type { AuthorityStore } from "../../authority/source.ts";

/** An authority document in a file of mode 0600: for development, and for volumes that something safer fills. */
export function fileStore(path: string): AuthorityStore {
  return {
    async read() {
      try {
        return await readFile(path, "utf8");
      } catch (cause) {
        throw new SignetError(
          "authority-unavailable",
          `${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`,
          { cause },
        );
      }
    },
  };
}

/** An authority document in a variable of the environment. */
export function environmentStore(name: string, environment: NodeJS.ProcessEnv): AuthorityStore {
  return {
    read() {
      const text = environment[name];
      if (text === undefined) throw new SignetError("authority-unavailable", `the variable ${name} is not set`);
      return text;
    },
  };
}
