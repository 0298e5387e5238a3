import { createHash, X509Certificate } from "node:crypto";
import { toHex } from "@signet/shared/base64";
import { contextTag, DerReader, Tag } from "@signet/shared/der";
import { fromNow, iso } from "@signet/shared/terminal/duration";
import type { Section } from "./report.ts";
import { brokenSvidRules } from "./spiffe-rules.ts";
import {
  altNameTexts,
  extendedKeyUsageText,
  keyUsageText,
  nameText,
  publicKeyText,
  readExtensionList,
  readExtensions,
  readingDer,
} from "./x509.ts";

/** A certificate made readable, with the SPIFFE rules that it breaks. @param now seconds since the epoch */
export function inspectCertificate(der: Uint8Array, now: number, title = "certificate"): Section {
  const read = readingDer("malformed-certificate", "certificate", () => readCertificate(der));
  const extensions = readExtensions(read.extensions);
  const { basicConstraints, subjectAltName } = extensions;
  const isCa = basicConstraints?.isCa === true;
  const uris = (subjectAltName?.names ?? []).filter(({ kind }) => kind === "URI").map(({ text }) => text);
  const subject = nameText(read.subject);
  const issuer = nameText(read.issuer);
  const pathLength = basicConstraints?.pathLength;
  return {
    title: `${title}: ${isCa ? (subject === issuer ? "root or self-signed CA" : "CA") : "leaf"}`,
    kind: isCa ? "ca-certificate" : "certificate",
    facts: {
      "SPIFFE ID": uris.length === 1 ? uris[0] : undefined,
      subject,
      issuer,
      serial: toHex(read.serialNumber).replace(/^0+(?=.)/, ""),
      valid: `${iso(read.notBefore)} to ${iso(read.notAfter)} (${validity(read, now)})`,
      key: publicKeyText(read.publicKey),
      "alternative names": altNameTexts(extensions),
      "is a CA": isCa ? (pathLength === undefined ? "yes" : `yes, path length ${pathLength}`) : "no",
      "key usage": keyUsageText(extensions),
      "extended usage": extendedKeyUsageText(extensions),
      "subject key id": extensions.subjectKeyIdentifier,
      "authority key id": extensions.authorityKeyIdentifier,
      "other extensions": extensions.others.length > 0 ? extensions.others : undefined,
      "SHA-256": createHash("sha256").update(der).digest("hex"),
    },
    breaks: brokenSvidRules({
      ...{ isCa, uris, emptySubject: read.subject.length === 2, sanCritical: subjectAltName?.critical === true },
      keyUsage: extensions.keyUsage,
      extendedKeyUsage: extensions.extendedKeyUsage,
    }),
    notes: extensions.faults,
  };
}

function validity({ notBefore, notAfter }: { notBefore: number; notAfter: number }, now: number): string {
  if (notAfter <= now) return `EXPIRED ${fromNow(notAfter, now)}`;
  return notBefore > now ? `NOT VALID YET, begins ${fromNow(notBefore, now)}` : `ends ${fromNow(notAfter, now)}`;
}

function readCertificate(der: Uint8Array) {
  const whole = new DerReader(der);
  const certificate = whole.enter();
  whole.end();
  const tbs = certificate.enter();
  tbs.optional(contextTag(0, true));
  const serialNumber = tbs.integer();
  tbs.expect(Tag.sequence);
  const issuer = tbs.expect(Tag.sequence).bytes;
  const times = tbs.enter();
  const notBefore = times.time();
  const notAfter = times.time();
  const subject = tbs.expect(Tag.sequence).bytes;
  const publicKey = tbs.expect(Tag.sequence).bytes;
  // Unique identifiers, which nobody uses (RFC 5280 §4.1.2.8).
  tbs.optional(contextTag(1, false));
  tbs.optional(contextTag(2, false));
  const extensions = tbs.done ? [] : readExtensionList(tbs.enter(contextTag(3, true)).enter());
  return { serialNumber, issuer, notBefore, notAfter, subject, publicKey, extensions };
}

/** Certificates that stand together, each held against the next: a chain goes from the leaf up. */
export function inspectCertificates(ders: readonly Uint8Array[], now: number): Section[] {
  return ders.map((der, at) => {
    const title = ders.length === 1 ? "certificate" : `certificate ${at + 1} of ${ders.length}`;
    const section = inspectCertificate(der, now, title);
    const next = ders[at + 1];
    if (next === undefined || section.title.includes("self-signed")) return section;
    const signed = signedBy(der, next);
    if (signed) return { ...section, facts: { ...section.facts, "signed by": `certificate ${at + 2}` } };
    return {
      ...section,
      notes: [...section.notes, `certificate ${at + 2} did not sign it: in a chain each is signed by the next`],
    };
  });
}

function signedBy(der: Uint8Array, by: Uint8Array): boolean {
  try {
    const issuer = new X509Certificate(by);
    const certificate = new X509Certificate(der);
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
