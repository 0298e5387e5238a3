import { createHash, createPublicKey } from "node:crypto";
import { fromBase64 } from "@signet/shared/base64";
import { asSignetError } from "@signet/shared/errors";
import { inspectCertificate } from "./certificate.ts";
import type { Broken, Section } from "./report.ts";
import { publicKeyText } from "./x509.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const show = (value: unknown): string | undefined =>
  value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value);

const svidUses = ["x509-svid", "jwt-svid"];

/** Whether a JWK Set is a SPIFFE bundle rather than the keys of an issuer of tokens. */
export function isSpiffeBundle({ keys, ...members }: JsonObject): boolean {
  if (Object.keys(members).some((name) => name.startsWith("spiffe_"))) return true;
  return Array.isArray(keys) && keys.some((key) => isObject(key) && svidUses.includes(String(key.use)));
}

/** A SPIFFE bundle (SPIFFE_Trust_Domain_and_Bundle §4) made readable, with the rules that it breaks. */
export function inspectSpiffeBundle(bundle: JsonObject, now: number, title = "SPIFFE bundle"): Section {
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = bundle;
  const list = Array.isArray(keys) ? keys : [];
  const breaks: Broken[] = [];
  const notes: string[] = [];
  if (!Array.isArray(keys)) breaks.push({ rule: "B1", says: "there is no keys, or it is no list" });
  else if (list.length === 0) notes.push("there are no keys: every SVID of this trust domain is revoked");
  for (const [name, value] of Object.entries({ spiffe_sequence: sequence, spiffe_refresh_hint: hint })) {
    if (value === undefined) notes.push(`${name} should be there`);
    else if (!Number.isInteger(value) || (value as number) < 0)
      breaks.push({ rule: "B2", says: `${name} is ${show(value)}` });
    else if (!Number.isSafeInteger(value)) notes.push(`${name} is over 2^53: not shown to its last digit`);
  }
  return {
    title,
    kind: "spiffe-bundle",
    facts: {
      sequence: show(sequence),
      "refresh hint": hint === undefined ? undefined : `${show(hint)} s`,
      keys: list.length,
    },
    breaks,
    notes,
    parts: list.map((key, at) => inspectBundleKey(key, at, now)),
  };
}

function inspectBundleKey(key: unknown, at: number, now: number): Section {
  const title = `key ${at + 1}`;
  if (!isObject(key))
    return { title, kind: "bundle-key", facts: {}, breaks: [{ rule: "B3", says: "it is no object" }], notes: [] };
  const { kty, use, kid, x5c } = key;
  const breaks: Broken[] = [];
  const say = (rule: "B3" | "B4", says: string) => breaks.push({ rule, says });
  if (typeof kty !== "string") say("B3", "it has no kty, and is ignored");
  else if (!["EC", "RSA", "OKP"].includes(kty)) say("B3", `its kty ${kty} is not known, and it is ignored`);
  if (use === undefined) say("B3", "it has no use, and is ignored");
  else if (!svidUses.includes(String(use))) say("B3", `its use ${show(use)} is not known, and it is ignored`);
  const parts: Section[] = [];
  if (use === "x509-svid") {
    if (kid !== undefined) say("B4", "a kid is set");
    if (!Array.isArray(x5c) || x5c.length !== 1)
      say("B4", `x5c holds ${Array.isArray(x5c) ? x5c.length : "no"} certificates`);
    const certificate = inspectX5c(Array.isArray(x5c) ? x5c[0] : undefined, now);
    if (typeof certificate === "string") say("B4", certificate);
    else {
      if (certificate.kind !== "ca-certificate") say("B4", "the certificate in x5c is not a CA's");
      parts.push(certificate);
    }
  }
  if (use === "jwt-svid" && typeof kid !== "string") say("B4", "it has no kid");
  return {
    title: `${title}: ${show(use) ?? "no use"}`,
    kind: "bundle-key",
    facts: { "key id": show(kid), key: use === "x509-svid" ? undefined : jwkText(key) },
    breaks,
    notes: [],
    parts,
  };
}

function inspectX5c(text: unknown, now: number): Section | string {
  const der = typeof text === "string" ? fromBase64(text) : undefined;
  if (der === undefined) return "x5c is no base64 of a certificate";
  try {
    return inspectCertificate(der, now);
  } catch (error) {
    return asSignetError(error, "malformed-certificate").message;
  }
}

/** A JWK Set (RFC 7517 §5) with the public keys of an issuer of tokens. */
export function inspectJwkSet({ keys }: JsonObject): Section {
  const list = Array.isArray(keys) ? keys : [];
  return {
    title: "JWK Set: public keys of an issuer of tokens",
    kind: "jwk-set",
    facts: { keys: list.length },
    breaks: Array.isArray(keys) ? [] : [{ rule: "CA", says: "there is no keys, or it is no list" }],
    notes: [],
    parts: list.filter(isObject).map((key, at) => ({
      title: `key ${at + 1}`,
      kind: "jwk",
      facts: { "key id": show(key.kid), use: show(key.use), algorithm: show(key.alg), key: jwkText(key) },
      breaks: [],
      notes: [],
    })),
  };
}

function jwkText(key: JsonObject): string {
  try {
    const spki = createPublicKey({ key: key as Record<string, string>, format: "jwk" });
    return publicKeyText(spki.export({ format: "der", type: "spki" }));
  } catch {
    const digest = createHash("sha256").update(JSON.stringify(key)).digest("hex");
    return `${show(key.kty) ?? "no kty"}, cannot be read as a public key, SHA-256 of its text ${digest}`;
  }
}
