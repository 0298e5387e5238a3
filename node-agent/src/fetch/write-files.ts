import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { pemOf, type SeenBundle, type SeenCertificate } from "./secrets.ts";

/**
 * Writes an identity into a directory, made for its owner alone where it is not there; the key is readable by its owner
 * alone from the first moment. Each file appears whole.
 * @returns the paths written
 * @throws SignetError `config-invalid` when the directory takes no files
 */
export function writeFiles(
  directory: string,
  certificate: SeenCertificate | undefined,
  bundle: SeenBundle | undefined,
): string[] {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const files: { name: string; text: string; mode: number }[] = [];
    if (certificate !== undefined) {
      files.push({ name: "key.pem", text: certificate.privateKeyPem, mode: 0o600 });
      files.push({ name: "svid.pem", text: pemOf(certificate.chain), mode: 0o644 });
    }
    if (bundle !== undefined) {
      files.push({ name: "bundle.pem", text: pemOf(bundle.domains.flatMap(({ roots }) => roots)), mode: 0o644 });
    }
    return files.map(({ name, text, mode }) => writeFile(join(directory, name), text, mode));
  } catch (error) {
    throw new SignetError("config-invalid", `--out: ${asSignetError(error, "config-invalid").message}`, {
      cause: error,
    });
  }
}

// Under a new name first: what is at the path, a link to elsewhere too, is replaced and not followed.
function writeFile(path: string, text: string, mode: number): string {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(temporary, "wx", mode);
  try {
    writeSync(file, text);
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(file);
  }
  return path;
}
