import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { encodePem } from "@signet/shared/pem";

/** What is looked for: a certificate, wherever it stands and however it is written. */
export interface Needle {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface SearchReport {
  readonly files: number;
  readonly bytes: number;
  /** Folders that were named and are not there. */
  readonly missing: readonly string[];
  /** One line for each find. */
  readonly found: readonly string[];
}

// How each key on P-256 begins in PKCS#8 (RFC 5208) and in SEC 1 (RFC 5915).
const pkcs8Start = Buffer.from("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420", "hex");
const sec1Start = Buffer.from("30770201010420", "hex");

/**
 * Reads every file under `folders`, and every file that one of `pids` holds open elsewhere, for the certificates in DER,
 * hex, base64 and PEM inside base64, and for any private key, in PEM or (P-256) DER, base64 and hex.
 */
export function searchFiles(
  folders: readonly string[],
  pids: readonly number[],
  certificates: readonly Needle[],
): SearchReport {
  const missing = folders.filter((folder) => !existsSync(folder));
  const files = new Set(folders.filter((folder) => existsSync(folder)).flatMap(filesUnder));
  for (const pid of pids) for (const file of openFiles(pid)) files.add(file);
  const found: string[] = [];
  let bytes = 0;
  let count = 0;
  for (const file of files) {
    const content = read(file);
    if (content === undefined) continue;
    count++;
    bytes += content.length;
    for (const name of look(content, certificates)) found.push(`${file}: ${name}`);
  }
  return { files: count, bytes, missing, found };
}

function look(content: Buffer, certificates: readonly Needle[]): string[] {
  // Lines of PEM and their escapes in JSON and YAML are taken away, so that base64 stands in one piece.
  const text = content.toString("latin1").replaceAll(/\\+[nrt]|\s/g, "");
  const lower = text.toLowerCase();
  const holds = (bytes: Uint8Array) => {
    const base64 = Buffer.from(bytes).subarray(0, bytes.length - (bytes.length % 3));
    return (
      content.includes(Buffer.from(bytes)) ||
      text.includes(base64.toString("base64")) ||
      text.includes(base64.toString("base64url")) ||
      lower.includes(Buffer.from(bytes).toString("hex"))
    );
  };
  const found = certificates
    .filter(({ bytes }) => holds(bytes) || holds(Buffer.from(encodePem("CERTIFICATE", bytes))))
    .map(({ name }) => name);
  if (text.includes("PRIVATEKEY") || holds(pkcs8Start) || holds(sec1Start)) found.push("a private key");
  return found;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Regular files that a process holds open, deleted ones too; by way of /proc, so on Linux only. */
function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((descriptor) => join(folder, descriptor))
    .flatMap((descriptor) => {
      try {
        if (!statSync(descriptor).isFile()) return [];
        const target = readlinkSync(descriptor);
        return [target.endsWith(" (deleted)") ? descriptor : target];
      } catch {
        return [];
      }
    });
}

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    // Gone since it was listed; what is not there holds nothing.
    return undefined;
  }
}
