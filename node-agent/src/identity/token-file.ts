import { readFileSync } from "node:fs";
import { maxTokenCharacters } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { compactJws } from "./token.ts";

/**
 * The token in a file that a person named.
 * @param setting what names the file, for messages
 * @throws SignetError `config-invalid`, never quoting what is in the file
 */
export function readTokenFile(file: string, setting: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason";
    throw new SignetError("config-invalid", `${setting}: ${file} cannot be read (${code})`, { cause });
  }
  if (text === "") throw new SignetError("config-invalid", `${setting}: ${file} is empty`);
  if (text.length > maxTokenCharacters) throw new SignetError("config-invalid", `${setting}: ${file} is too long`);
  if (!compactJws.test(text)) {
    throw new SignetError(
      "config-invalid",
      `${setting}: ${file} holds no token (a compact JWS: three parts with dots)`,
    );
  }
  return text;
}
