import type { Fetch } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";

const timeoutMs = 5_000;
const maxDocumentCharacters = 256 * 1024;

/** Types of OpenID documents. A Kubernetes API server answers 406 for its keys where the second is not accepted. */
export const keyDocumentTypes = "application/json, application/jwk-set+json";

/**
 * Reads the JWK Set at a URL that the configuration names.
 * @throws SignetError `issuer-unavailable`
 */
export function fetchJwkSet(fetch: Fetch, url: string): Promise<unknown> {
  return fetchJson(fetch, url);
}

/**
 * Reads the JWK Set that an issuer's OpenID configuration points to (OpenID Connect Discovery 1.0 §4).
 * @throws SignetError `issuer-unavailable`
 */
export async function discoverJwkSet(fetch: Fetch, issuer: string): Promise<unknown> {
  const document = await fetchJson(fetch, `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: url } = document as Record<string, unknown>;
  if (named !== issuer) throw unavailable(`its OpenID configuration is of the issuer ${JSON.stringify(named)}`);
  if (typeof url !== "string" || !isAllowedKeyUrl(url)) throw unavailable("its jwks_uri is no https URL");
  return fetchJson(fetch, url);
}

/** Keys come over https; plain http only from this machine. */
export function isAllowedKeyUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
}

async function fetchJson(fetch: Fetch, url: string): Promise<object> {
  try {
    const response = await fetch(url, {
      headers: { accept: keyDocumentTypes },
      // A redirect would let the issuer's web server choose another place to trust.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200) throw unavailable(`${url} answers ${response.status}`);
    const text = await response.text();
    if (text.length > maxDocumentCharacters)
      throw unavailable(`${url} answers more than ${maxDocumentCharacters} characters`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) throw unavailable(`${url} answers no JSON object`);
    return value;
  } catch (error) {
    throw asSignetError(error, "issuer-unavailable", url);
  }
}

function unavailable(reason: string): SignetError {
  return new SignetError("issuer-unavailable", reason);
}
