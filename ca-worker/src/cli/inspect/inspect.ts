import { createPrivateKey } from "node:crypto";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { decodePem, type PemBlock } from "@signet/shared/pem";
import { inspectCertificate, inspectCertificates } from "./certificate.ts";
import { inspectCsr } from "./csr.ts";
import { inspectAnswer, inspectBundleMap, inspectProblem, inspectTrustBundle } from "./documents.ts";
import { inspectJwkSet, inspectSpiffeBundle, isObject, isSpiffeBundle, type JsonObject } from "./jwk-set.ts";
import type { Section } from "./report.ts";
import { inspectToken, tokenForm } from "./token.ts";

/**
 * Finds out what some bytes are, and makes them readable.
 * @param source what to call them in messages
 * @param now seconds since the epoch
 * @throws SignetError with the code of what cannot be read; `malformed-request` for a private key and what is nothing known
 */
export async function inspect(bytes: Uint8Array, source: string, now: number): Promise<readonly Section[]> {
  const text = Buffer.from(bytes)
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .trim();
  if (text === "") throw unknown(source, "it is empty");
  if (text.startsWith("{")) return [inspectJson(text, source, now)];
  if (text.includes("-----BEGIN ")) return inspectPem(text, source, now);
  const token = tokenForm.exec(text)?.[1];
  if (token !== undefined) return [inspectToken(token, now)];
  if (bytes[0] === 0x30) return [await inspectDer(bytes, source, now)];
  throw unknown(source, "it is no PEM, DER, JSON or token");
}

async function inspectPem(text: string, source: string, now: number): Promise<readonly Section[]> {
  // Before anything else is said of it, whatever else is wrong with it.
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) throw privateKey(source);
  // What openssl and others write around blocks is no fault.
  const found = text.match(/-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g);
  if (found === null) throw unknown(source, "it has the beginning of a PEM block, and no whole one");
  const blocks = decodePem(found.join("\n"));
  if (blocks.every(({ label }) => label === "CERTIFICATE"))
    return inspectCertificates(
      blocks.map(({ der }) => der),
      now,
    );
  return Promise.all(blocks.map((block) => inspectBlock(block, source, now)));
}

async function inspectBlock({ label, der }: PemBlock, source: string, now: number): Promise<Section> {
  if (label === "CERTIFICATE") return inspectCertificate(der, now);
  if (label === "CERTIFICATE REQUEST" || label === "NEW CERTIFICATE REQUEST") return inspectCsr(der);
  throw unknown(source, `it holds a PEM block ${label}, which is neither a certificate nor a CSR`);
}

async function inspectDer(der: Uint8Array, source: string, now: number): Promise<Section> {
  if (isPrivateKey(der)) throw privateKey(source);
  try {
    return inspectCertificate(der, now);
  } catch (error) {
    // A CSR's first member is a small version number, where a certificate has its serial number: they do not meet.
    return inspectCsr(der).catch(() => {
      throw asSignetError(error, "malformed-certificate");
    });
  }
}

function isPrivateKey(der: Uint8Array): boolean {
  return (["pkcs8", "pkcs1", "sec1"] as const).some((type) => {
    try {
      createPrivateKey({ key: Buffer.from(der), format: "der", type });
      return true;
    } catch {
      return false;
    }
  });
}

function inspectJson(text: string, source: string, now: number): Section {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw unknown(source, "it begins like JSON and is none; for a configuration there is signet-ca check-config");
  }
  if (hasPrivateKey(value)) throw privateKey(source);
  if (!isObject(value)) throw unknown(source, "it is no JSON object");
  return inspectDocument(value, text, source, now);
}

function inspectDocument(value: JsonObject, text: string, source: string, now: number): Section {
  if ("trust_domains" in value) return inspectBundleMap(value, text, now);
  if (isSpiffeBundle(value)) return inspectSpiffeBundle(value, now);
  if ("keys" in value) return inspectJwkSet(value);
  if ("certificateChain" in value) return inspectAnswer(value, now);
  if ("roots" in value && "trustDomain" in value) return inspectTrustBundle(value, now);
  if (String(value.type).startsWith("urn:signet:problem:")) return inspectProblem(value);
  if ("issuers" in value) throw unknown(source, "for a configuration there is signet-ca check-config");
  throw unknown(source, "it is JSON, but no bundle, JWK Set or answer of a CA");
}

/** A JWK with a private or symmetric member, or an authority document's key. */
function hasPrivateKey(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasPrivateKey);
  if (!isObject(value)) return false;
  if ("pkcs8" in value || ("kty" in value && ("d" in value || "k" in value))) return true;
  return Object.values(value).some((member) =>
    typeof member === "string" ? /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(member) : hasPrivateKey(member),
  );
}

function privateKey(source: string): SignetError {
  return new SignetError(
    "malformed-request",
    `${source} holds a private key, and nothing of it is read or shown.
For its public half:         openssl pkey -in FILE -pubout
For an authority document:   signet-ca authority status --config FILE
If others could read it, replace the key: what was once seen cannot be made secret again.`,
  );
}

function unknown(source: string, what: string): SignetError {
  return new SignetError("malformed-request", `${source} cannot be inspected: ${what}`);
}
