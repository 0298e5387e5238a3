import type { Fetch } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { parseStrictJson } from "@signet/shared/strict-json";
import { isLoopbackHost } from "@signet/shared/url";
import { fetchText, withoutQuery } from "../fetch-text.ts";

const timeoutMs = 5_000;
// An issuer's two or three RSA keys with their chains are under 16 KiB.
const maxDocumentBytes = 256 * 1024;

/** Types of OpenID documents. A Kubernetes API server answers 406 for its keys where the second is not accepted. */
export const keyDocumentTypes = "application/json, application/jwk-set+json";

/** A JWK Set as it was read, not looked into yet. */
export interface KeyDocument {
  readonly document: unknown;
  /** How long its source says that it may be kept (RFC 9111 §5.2.2); undefined where it says nothing. */
  readonly maxAgeSeconds?: number | undefined;
}

/**
 * Reads the JWK Set at a URL that the configuration names.
 * @throws SignetError `issuer-unavailable`
 */
export async function fetchJwkSet(fetch: Fetch, url: string): Promise<KeyDocument> {
  const { object, maxAgeSeconds } = await fetchJson(fetch, url);
  return { document: object, maxAgeSeconds };
}

/**
 * Reads the JWK Set that an issuer's OpenID configuration points to (OpenID Connect Discovery 1.0 §4).
 * @throws SignetError `issuer-unavailable`
 */
export async function discoverJwkSet(fetch: Fetch, issuer: string): Promise<KeyDocument> {
  const { object } = await fetchJson(fetch, `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: url } = object;
  if (named !== issuer) throw unavailable(`its OpenID configuration is of the issuer ${quoted(named)}`);
  // Plain http is for an issuer on this machine; no other one may send us to what listens here.
  if (typeof url !== "string" || !isAllowedKeyUrl(url) || (isHttps(issuer) && !isHttps(url))) {
    throw unavailable(`its jwks_uri ${quoted(url)} is no https URL`);
  }
  return fetchJwkSet(fetch, url);
}

/** Keys come over https; plain http only from this machine. */
export function isAllowedKeyUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
}

async function fetchJson(
  fetch: Fetch,
  url: string,
): Promise<{ object: Readonly<Record<string, unknown>>; maxAgeSeconds: number | undefined }> {
  try {
    const answer = await fetchText(fetch, url, { accept: keyDocumentTypes, timeoutMs, maxBytes: maxDocumentBytes });
    const object = answer === "unchanged" ? undefined : parseStrictJson(answer.text);
    if (answer === "unchanged" || typeof object !== "object" || object === null) {
      throw unavailable(`${withoutQuery(url)}: it answers no JSON object`);
    }
    return { object: object as Record<string, unknown>, maxAgeSeconds: maxAge(answer.cacheControl) };
  } catch (error) {
    const { code, message } = asSignetError(error, "issuer-unavailable");
    throw code === "malformed-json"
      ? unavailable(`${withoutQuery(url)}: ${message}`, error)
      : unavailable(message, error);
  }
}

function isHttps(url: string): boolean {
  return new URL(url).protocol === "https:";
}

function maxAge(cacheControl: string | undefined): number | undefined {
  if (cacheControl === undefined) return undefined;
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/i.test(cacheControl)) return 0;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})"?(?:$|[\s,])/i.exec(cacheControl)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

// What another web server writes goes into a log line.
function quoted(value: unknown): string {
  return JSON.stringify(typeof value === "string" ? value.slice(0, 200) : (value ?? null)).slice(0, 300);
}

function unavailable(reason: string, cause?: unknown): SignetError {
  return new SignetError("issuer-unavailable", reason, { cause });
}
