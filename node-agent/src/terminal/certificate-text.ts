import type { X509Certificate } from "node:crypto";
import { clean } from "@signet/shared/terminal/text";

/** A distinguished name on one line, cleaned. */
export function nameText(name: string | undefined): string {
  return name === undefined || name === "" ? "(no name)" : clean(name.replaceAll("\n", ", "));
}

/** Seconds since the epoch at which a certificate ends. */
export function endOf({ validTo }: X509Certificate): number {
  // Node 20 has no validToDate; its text is OpenSSL's, `Nov 25 16:00:00 2026 GMT`.
  return Date.parse(validTo) / 1_000;
}

export function startOf({ validFrom }: X509Certificate): number {
  return Date.parse(validFrom) / 1_000;
}

export function serialOf({ serialNumber }: X509Certificate): string {
  return serialNumber.toLowerCase();
}

/** SHA-256 over the DER, lower-case hex. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(":", "").toLowerCase();
}

/** Such as `EC prime256v1` or `RSA 2048 bit`. */
export function keyText({ publicKey }: X509Certificate): string {
  const { asymmetricKeyDetails: details = {}, asymmetricKeyType: type = "unknown" } = publicKey;
  if (details.namedCurve !== undefined) return `EC ${curveNames[details.namedCurve] ?? details.namedCurve}`;
  if (details.modulusLength !== undefined) return `${type.toUpperCase()} ${details.modulusLength} bit`;
  return type;
}

const curveNames: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
