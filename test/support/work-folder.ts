import { mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface WorkFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** A folder of its own under the system's temporary folder; mode 0700, as it will hold tokens. */
export async function makeWorkFolder(label: string): Promise<WorkFolder> {
  // A socket's path has 108 bytes at most, so the name is short. Made at once: a process that is interrupted here must
  // either have no folder or know of it.
  const path = realpathSync(mkdtempSync(join(tmpdir(), `signet-${label}-`)));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}
