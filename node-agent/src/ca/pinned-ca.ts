import { SignetError } from "@signet/shared/errors";
import { decodePem } from "@signet/shared/pem";

/**
 * Checks the text of a file with certificates that may vouch for the CA's server.
 * @throws SignetError `malformed-pem`; `config-invalid` when it holds something else
 */
export function readPinnedCa(text: string): string {
  if (decodePem(text).some(({ label }) => label !== "CERTIFICATE")) {
    throw new SignetError("config-invalid", "it holds more than certificates");
  }
  return text;
}
