import { chmod, link, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { SignetError } from "@signet/shared/errors";
import { encodePem } from "@signet/shared/pem";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { AuthorityDocument } from "../document.ts";
import { makeAuthority } from "./authority.ts";

/** Where the root's key of an authority file is kept beside it. */
export function rootKeyPath(documentPath: string): string {
  return `${documentPath.replace(/\.json$/, "")}.root-key.pem`;
}

/**
 * Makes an authority, and writes its document and its root's key to new files of mode 0600 where paths are given. A file
 * that is there is never overwritten; where one can't be written, neither is.
 * @throws SignetError `authority-unavailable`
 */
export async function initAuthority(
  trustDomain: TrustDomain,
  documentPath: string | undefined,
  rootKeyPath: string | undefined,
): Promise<AuthorityDocument> {
  const { document, rootKey } = await makeAuthority({ trustDomain, now: Math.floor(Date.now() / 1000) });
  if (rootKeyPath !== undefined) await writePrivate(rootKeyPath, encodePem("PRIVATE KEY", rootKey));
  try {
    if (documentPath !== undefined) await writePrivate(documentPath, `${JSON.stringify(document, null, 2)}\n`);
  } catch (error) {
    if (rootKeyPath !== undefined) await rm(rootKeyPath, { force: true });
    throw error;
  }
  return document;
}

/** Writes a new file that only its owner reads, whole or not at all. */
async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(draft, text, { mode: 0o600, flag: "wx" });
    await chmod(draft, 0o600);
    // Unlike rename, link does not replace what another process has put there meanwhile.
    await link(draft, path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === "EEXIST" ? "it is there already; nothing was changed" : `it cannot be written (${code})`;
    throw new SignetError("authority-unavailable", `${path}: ${reason}`, { cause });
  } finally {
    await rm(draft, { force: true });
  }
}
