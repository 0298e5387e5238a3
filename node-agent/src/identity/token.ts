import { maxTokenCharacters } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";

/**
 * Headers in which an Envoy carries its pod's token: the default of `file_based_metadata`, the name of Istio 1.2 to 1.4,
 * and Istio 1.1's misspelling of it. A name that ends in `-bin` arrives decoded from base64.
 */
export const tokenHeaders = [
  "authorization",
  "istio_sds_credentials_header-bin",
  "istio_sds_credentail_header-bin",
] as const;

/** Headers of a call, each with all of its values. */
export interface HeaderSource {
  get(name: string): readonly (string | Buffer)[];
}

/** RFC 7515 §3.1: three parts of base64url. What passes here is safe to stand in an HTTP header. */
export const compactJws = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/**
 * The one token of a stream. `authorization` may say `Bearer` before it or not.
 * @throws SignetError `token-missing` without a token; `malformed-token` with more than one, or one that is none
 */
export function readToken(headers: HeaderSource): string {
  const found = new Set<string>();
  for (const header of tokenHeaders) {
    const [value, ...more] = headers.get(header);
    if (value === undefined) continue;
    if (more.length > 0) throw malformed(`header ${header} has ${more.length + 1} values`);
    const text = typeof value === "string" ? value : value.toString("latin1");
    const token = text.trim().replace(/^bearer +/i, "");
    if (token !== "") found.add(token);
  }
  const [token, ...others] = found;
  if (token === undefined) {
    throw new SignetError("token-missing", `no token; send the pod's token in one of: ${tokenHeaders.join(", ")}`);
  }
  if (others.length > 0) throw malformed("two headers carry different tokens");
  if (token.length > maxTokenCharacters) throw malformed(`over ${maxTokenCharacters} characters`);
  if (!compactJws.test(token)) throw malformed("not a compact JWS");
  return token;
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-token", `token: ${reason}`);
}
