import type { Certificate, TrustBundle } from "@signet/shared/ca-api";
import { encodePem } from "@signet/shared/pem";
import type { Authority } from "../authority/load.ts";
import type { Grant, Issued } from "../types.ts";

/** Step 6: the certificate as the API gives it, leaf first, root not included. */
export function describeCertificate(
  grant: Grant,
  issued: Issued,
  authority: Authority,
  bundle: TrustBundle,
): Certificate {
  return {
    spiffeId: grant.spiffeId.toString(),
    certificateChain: [encodePem("CERTIFICATE", issued.der), ...authority.chain],
    trustBundle: bundle,
    serialNumber: issued.serialNumber,
    notBefore: rfc3339(issued.notBefore),
    notAfter: rfc3339(issued.notAfter),
  };
}

/** RFC 3339 in UTC, whole seconds. */
function rfc3339(epochSeconds: number): string {
  return `${new Date(epochSeconds * 1000).toISOString().slice(0, 19)}Z`;
}
