import { KeyUsageBit, Oid } from "@signet/shared/oids";
import type { Broken, Rule } from "./report.ts";

const maxIdBytes = 2_048;
const maxTrustDomainBytes = 255;

/** The rules of SPIFFE-ID that a text breaks, each by its name; none exactly where it is a SPIFFE ID. */
export function brokenIdRules(text: string): Broken[] {
  const broken: Broken[] = [];
  const say = (rule: Rule, says: string) => broken.push({ rule, says });
  if (new TextEncoder().encode(text).length > maxIdBytes) say("I4", `the ID has over ${maxIdBytes} bytes`);
  if (!/^spiffe:\/\//i.test(text)) {
    say("I1", "the scheme is not spiffe://");
    return broken;
  }
  const withoutQuery = text.replace(/[?#].*$/s, "");
  if (withoutQuery !== text) say("I1", "the ID has a query or a fragment");
  const [authority = "", ...segments] = withoutQuery.slice("spiffe://".length).split("/");
  broken.push(...brokenTrustDomainRules(authority.replace(/[A-Z]/g, (letter) => letter.toLowerCase())));
  for (const segment of segments) {
    if (segment === "") say("I3", "the path has an empty segment or ends with a slash");
    else if (segment === "." || segment === "..") say("I3", "the path has a dot segment");
    else if (!/^[a-zA-Z0-9._-]+$/.test(segment))
      say("I3", `the path segment "${segment}" has a character that is not allowed`);
  }
  return broken;
}

/** The rules that the name of a trust domain breaks, as it stands in an ID. */
export function brokenTrustDomainRules(name: string): Broken[] {
  if (name === "") return [{ rule: "I1", says: "the trust domain is empty" }];
  if (name.includes("@")) return [{ rule: "I1", says: "the ID names a user" }];
  if (/:\d*$/.test(name)) return [{ rule: "I1", says: "the ID has a port" }];
  const broken: Broken[] = [];
  if (name.length > maxTrustDomainBytes)
    broken.push({ rule: "I2", says: `the trust domain has over ${maxTrustDomainBytes} bytes` });
  if (!/^[a-z0-9._-]+$/.test(name)) {
    broken.push({ rule: "I2", says: `the trust domain "${name}" has a character that is not allowed` });
  }
  return broken;
}

/** What the rules of X509-SVID look at. */
export interface SvidParts {
  readonly isCa: boolean;
  readonly emptySubject: boolean;
  readonly uris: readonly string[];
  readonly sanCritical: boolean;
  readonly keyUsage: { readonly critical: boolean; readonly bits: readonly boolean[] } | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
}

/** The rules of X509-SVID, and of the SPIFFE ID in it, that a certificate breaks. */
export function brokenSvidRules(parts: SvidParts): Broken[] {
  const { uris } = parts;
  const broken = uris.flatMap(brokenIdRules);
  // A signing certificate need not be an SVID itself.
  if (uris.length > 1 || (uris.length === 0 && !parts.isCa)) {
    broken.push({ rule: "X1", says: uris.length === 0 ? "there is no URI SAN" : `there are ${uris.length} URI SANs` });
  }
  return [...broken, ...(parts.isCa ? brokenAuthorityRules(parts) : brokenLeafRules(parts))];
}

function brokenLeafRules({ emptySubject, uris, sanCritical, keyUsage, extendedKeyUsage }: SvidParts): Broken[] {
  const broken: Broken[] = [];
  const say = (rule: Rule, says: string) => broken.push({ rule, says });
  if (uris.some((uri) => pathOf(uri) === "")) say("X2", "the SPIFFE ID has no path, as a trust domain's own has none");
  if (emptySubject && !sanCritical) say("X2", "there is no subject, and the SAN is not critical");
  const has = (bit: number) => keyUsage?.bits[bit] === true;
  if (keyUsage === undefined) say("X3", "there is no key usage");
  else {
    if (!keyUsage.critical) say("X3", "the key usage is not critical");
    if (!has(KeyUsageBit.digitalSignature)) say("X3", "the key usage lacks digitalSignature");
    if (has(KeyUsageBit.keyCertSign)) say("X3", "the key usage has keyCertSign");
    if (has(KeyUsageBit.cRLSign)) say("X3", "the key usage has cRLSign");
  }
  for (const [id, name] of [
    [Oid.serverAuth, "serverAuth"],
    [Oid.clientAuth, "clientAuth"],
  ] as const) {
    if (extendedKeyUsage !== undefined && !extendedKeyUsage.includes(id))
      say("X4", `the extended key usage lacks ${name}`);
  }
  return broken;
}

function brokenAuthorityRules({ uris, keyUsage }: SvidParts): Broken[] {
  const broken: Broken[] = [];
  if (keyUsage?.bits[KeyUsageBit.keyCertSign] !== true)
    broken.push({ rule: "X5", says: "the key usage lacks keyCertSign" });
  if (keyUsage !== undefined && !keyUsage.critical) broken.push({ rule: "X3", says: "the key usage is not critical" });
  if (uris.some((uri) => pathOf(uri) !== ""))
    broken.push({ rule: "X5", says: "the SPIFFE ID of a signing certificate has a path" });
  return broken;
}

/** With its slash. Of what is no URI at all there is none to look at. */
function pathOf(uri: string): string {
  return /^[a-z]+:\/\/[^/?#]*([^?#]*)/i.exec(uri)?.[1] ?? "/";
}
