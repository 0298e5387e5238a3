import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { asSignetError, SignetError } from "@signet/shared/errors";

/** PEM files for https. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** @throws SignetError `config-invalid` for files that are none or no pair */
export function readTls({ certificate, key }: TlsFiles): { cert: Buffer; key: Buffer } {
  try {
    const files = { cert: readFileSync(certificate), key: readFileSync(key) };
    // A pair that does not go together would show only at a client's first handshake.
    if (!new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key))) {
      throw new SignetError("config-invalid", "the key is not the certificate's");
    }
    return files;
  } catch (error) {
    throw new SignetError(
      "config-invalid",
      `--tls-cert and --tls-key: ${asSignetError(error, "config-invalid").message}`,
      { cause: error },
    );
  }
}

const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
// A last label of digits alone would make it an IPv4 address.
const dnsName = new RegExp(`^(?:${label}\\.)*(?![0-9]+$)${label}$`);

/**
 * Reads `--tls-names`: DNS names with commas between them.
 * @throws SignetError `config-invalid`
 */
export function parseDnsNames(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (name.length > 253 || !dnsName.test(name)) {
      throw new SignetError(
        "config-invalid",
        `--tls-names: "${name}" is no DNS name in lower case, such as signet-ca.signet-system.svc; addresses and wildcards are not certified`,
      );
    }
  }
  return [...new Set(names)];
}
