import { type ParsedCertificate, sameBytes } from "@signet/shared/certificate";
import type { Authority, Bundle } from "./bundle.ts";

/** What a leaf hangs on. Shared by all leaves of one chain. */
export interface Issuers {
  readonly intermediates: readonly Authority[];
  /** Where the chain led to when the leaf was issued. */
  readonly root: ParsedCertificate;
}

/** Why a certificate that is in its time must be replaced all the same. */
export type Flaw = "tainted" | "unanchored";

/**
 * Holds a leaf's issuers against a bundle that may be newer: `tainted` when the CA has named the key of one of them,
 * `unanchored` when their root is not in it any more, neither itself nor under another certificate for its key.
 */
export function flawOf({ intermediates, root }: Issuers, bundle: Bundle): Flaw | undefined {
  const chain = [...intermediates.map(({ certificate }) => certificate), root];
  const isTainted = chain.some(({ subjectKeyIdentifier: id }) => id !== undefined && bundle.taintedKeyIds.has(id));
  if (isTainted) return "tainted";
  const isAnchored = bundle.roots.some(
    ({ certificate }) =>
      sameBytes(certificate.subject, root.subject) && sameBytes(certificate.publicKey, root.publicKey),
  );
  return isAnchored ? undefined : "unanchored";
}
