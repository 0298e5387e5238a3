import { asSignetError } from "@signet/shared/errors";
import { decodePem } from "@signet/shared/pem";
import { parseStrictJson } from "@signet/shared/strict-json";
import { inspectCertificates } from "./certificate.ts";
import { inspectSpiffeBundle, isObject, type JsonObject } from "./jwk-set.ts";
import type { Broken, Section } from "./report.ts";
import { brokenIdRules, brokenTrustDomainRules } from "./spiffe-rules.ts";

/** Our own trust bundle, as `GET /v1/trust-bundle` answers it. */
export function inspectTrustBundle(bundle: JsonObject, now: number): Section {
  const { trustDomain, sequence, refreshHintSeconds, roots, taintedKeyIds } = bundle;
  const name = String(trustDomain ?? "");
  return {
    title: `trust bundle of ${name}`,
    kind: "trust-bundle",
    facts: {
      "trust domain": name,
      sequence: Number(sequence),
      "refresh hint": `${Number(refreshHintSeconds)} s`,
      "tainted key ids": Array.isArray(taintedKeyIds) ? taintedKeyIds.map(String) : undefined,
    },
    breaks: [
      ...brokenTrustDomainRules(name),
      ...(Number.isInteger(sequence) ? [] : [{ rule: "B2", says: "sequence is no whole number" } as const]),
    ],
    notes: Array.isArray(roots) && roots.length === 0 ? ["there are no roots: every SVID is revoked"] : [],
    ...pemParts(roots, now),
  };
}

/** What `POST /v1/certificates` answers. */
export function inspectAnswer(answer: JsonObject, now: number): Section {
  const { spiffeId, serialNumber, notBefore, notAfter, certificateChain, trustBundle } = answer;
  const chain = pemParts(certificateChain, now);
  return {
    title: "certificate that the CA has issued",
    kind: "issued-certificate",
    facts: { "SPIFFE ID": String(spiffeId), serial: String(serialNumber), valid: `${notBefore} to ${notAfter}` },
    breaks: brokenIdRules(String(spiffeId)),
    notes: [],
    parts: [...(chain.parts ?? []), ...(isObject(trustBundle) ? [inspectTrustBundle(trustBundle, now)] : [])],
  };
}

/** A SPIFFE bundle map: bundles of several trust domains by their names. */
export function inspectBundleMap({ trust_domains: domains }: JsonObject, text: string, now: number): Section {
  const breaks: Broken[] = isObject(domains) ? [] : [{ rule: "B5", says: "trust_domains is no object" }];
  const bundles = isObject(domains) ? Object.entries(domains) : [];
  for (const [name] of bundles) breaks.push(...brokenTrustDomainRules(name));
  try {
    parseStrictJson(text);
  } catch (error) {
    breaks.push({ rule: "B5", says: asSignetError(error, "malformed-json").message });
  }
  return {
    title: "SPIFFE bundle map",
    kind: "bundle-map",
    facts: { "trust domains": bundles.length },
    breaks,
    notes: [],
    parts: bundles.map(([name, bundle]) =>
      inspectSpiffeBundle(isObject(bundle) ? bundle : {}, now, `bundle of ${name}`),
    ),
  };
}

/** RFC 9457, as the CA answers where it refuses. */
export function inspectProblem({ type, title, status, detail, requestId }: JsonObject): Section {
  return {
    title: "problem: what the CA answers where it refuses",
    kind: "problem",
    facts: {
      code: String(type).split(":").at(-1),
      title: String(title),
      status: Number(status),
      detail: detail === undefined ? undefined : String(detail),
      "request id": requestId === undefined ? undefined : String(requestId),
    },
    breaks: [],
    notes: ["the CA's log tells the reason under this request id"],
  };
}

function pemParts(texts: unknown, now: number): { parts?: readonly Section[] } {
  if (!Array.isArray(texts)) return {};
  try {
    return {
      parts: inspectCertificates(
        texts.flatMap((text) => decodePem(String(text)).map(({ der }) => der)),
        now,
      ),
    };
  } catch (error) {
    const says = asSignetError(error, "malformed-pem").message;
    return {
      parts: [{ title: "certificates", kind: "certificate", facts: {}, breaks: [{ rule: "CA", says }], notes: [] }],
    };
  }
}
