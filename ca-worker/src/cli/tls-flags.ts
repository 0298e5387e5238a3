import { SignetError } from "@signet/shared/errors";
import { isDnsName } from "../dns-name.ts";
import type { TlsFiles } from "../entry/node/tls-files.ts";

/** `--tls-cert` and `--tls-key`. @throws SignetError `config-invalid` for one without the other */
export function pairOf(certificate: string | undefined, key: string | undefined): TlsFiles | undefined {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw new SignetError("config-invalid", "--tls-cert and --tls-key go together");
  return { certificate, key };
}

/**
 * Reads `--tls-names`: DNS names with commas between them.
 * @throws SignetError `config-invalid`
 */
export function parseDnsNames(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (isDnsName(name)) continue;
    throw new SignetError(
      "config-invalid",
      `--tls-names: "${name}" is no DNS name in lower case, such as signet-ca.signet-system.svc; addresses and wildcards are not certified`,
    );
  }
  return [...new Set(names)];
}
