import { SignetError } from "@signet/shared/errors";
import type { LeafIssuer } from "./issuer.ts";

/** @throws SignetError `cannot-sign` with the reason why there is no issuer */
export function requireIssuer(issuer: LeafIssuer | SignetError): LeafIssuer {
  if (!(issuer instanceof SignetError)) return issuer;
  throw new SignetError("cannot-sign", issuer.message, { cause: issuer, retryAfterSeconds: 5 });
}
