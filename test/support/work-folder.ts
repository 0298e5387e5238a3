import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";
import { killAllAtExit } from "./processes.ts";

export interface WorkFolder {
  readonly path: string;
  remove(): Promise<void>;
}

const options = { recursive: true, force: true, maxRetries: 3 };

/**
 * A folder of its own under the system's temporary folder; mode 0700, as it will hold tokens. It goes when this process
 * ends, if not before.
 */
export async function makeWorkFolder(label: string): Promise<WorkFolder> {
  // Programs end before the folder that they write to goes.
  killAllAtExit();
  // A socket's path has 108 bytes at most, so the name is short. Made at once: a process that is interrupted here must
  // either have no folder or know of it.
  const path = realpathSync(mkdtempSync(join(tmpdir(), `signet-${label}-`)));
  const forget = atExit(() => rmSync(path, options));
  return {
    path,
    remove: async () => {
      await rm(path, options);
      forget();
    },
  };
}
