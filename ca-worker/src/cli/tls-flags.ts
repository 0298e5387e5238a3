import { SignetError } from "@signet/shared/errors";
import type { TlsFiles } from "../entry/node/tls-files.ts";

/** `--tls-cert` and `--tls-key`. @throws SignetError `config-invalid` for one without the other */
export function pairOf(certificate: string | undefined, key: string | undefined): TlsFiles | undefined {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw new SignetError("config-invalid", "--tls-cert and --tls-key go together");
  return { certificate, key };
}
