import { asSignetError, SignetError } from "@signet/shared/errors";
import { decodeTokenParts, readServiceAccountClaims } from "@signet/shared/service-account";
import { fromNow, iso, span } from "@signet/shared/terminal/duration";
import { readTokenHeader } from "@signet/shared/token-rules";
import { isObject, type JsonObject } from "./jwk-set.ts";
import type { Broken, Rule, Section } from "./report.ts";
import { brokenIdRules } from "./spiffe-rules.ts";

export const tokenForm = /^(?:bearer\s+)?([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)$/i;

/** A JWT made readable. Its signature is not verified, and never shown: without it nobody can use what is. */
export function inspectToken(token: string, now: number): Section {
  const { header, payload } = decodeTokenParts(token);
  if (!isObject(header) || !isObject(payload)) {
    throw new SignetError("malformed-token", "token: its header or payload is no object");
  }
  const isSvid = typeof payload.sub === "string" && /^spiffe:/i.test(payload.sub);
  const { iat, nbf, exp, ...claims } = payload;
  return {
    title: isSvid ? "JWT-SVID" : "service-account" in kindOf(payload) ? "Kubernetes service-account token" : "token",
    kind: isSvid ? "jwt-svid" : "token",
    facts: {
      ...Object.fromEntries(Object.entries(header).map(([name, value]) => [`header ${name}`, textOf(value)])),
      ...Object.fromEntries(Object.entries(claims).flatMap(([name, value]) => claimFacts(name, value))),
      "issued at": timeText(iat, now),
      "not before": timeText(nbf, now),
      expires: expiryText(exp, now),
      lifetime: typeof exp === "number" && typeof iat === "number" ? span(exp - iat) : undefined,
    },
    breaks: isSvid ? brokenJwtSvidRules(header, payload) : refusals(header, payload),
    notes: ["the signature is not verified here; signet-ca explain does that"],
  };
}

const kindOf = ({ "kubernetes.io": bound }: JsonObject) => (isObject(bound) ? { "service-account": bound } : {});

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Kubernetes' claims are objects of objects: one fact for each. */
function claimFacts(name: string, value: unknown): [string, string | string[]][] {
  if (Array.isArray(value)) return [[name, value.map(textOf)]];
  if (!isObject(value)) return [[name, textOf(value)]];
  return Object.entries(value).map(([member, inner]) => {
    const label = name === "kubernetes.io" ? member : `${name}.${member}`;
    return [
      label,
      isObject(inner) ? Object.entries(inner).map(([key, text]) => `${key} ${textOf(text)}`) : textOf(inner),
    ];
  });
}

function timeText(value: unknown, now: number): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === "number" ? `${iso(value)} (${fromNow(value, now)})` : `${textOf(value)}, which is no number`;
}

function expiryText(value: unknown, now: number): string | undefined {
  const text = timeText(value, now);
  return typeof value === "number" && value <= now ? `EXPIRED ${text}` : text;
}

function brokenJwtSvidRules(header: JsonObject, { sub, aud, exp }: JsonObject): Broken[] {
  const broken: Broken[] = brokenIdRules(String(sub));
  const say = (rule: Rule, says: string) => broken.push({ rule, says });
  if (!/^(?:RS|ES|PS)(?:256|384|512)$/.test(String(header.alg))) say("J1", `alg is ${textOf(header.alg)}`);
  if (header.typ !== undefined && header.typ !== "JWT" && header.typ !== "JOSE")
    say("J2", `typ is ${textOf(header.typ)}`);
  for (const name of Object.keys(header)) {
    if (!["alg", "kid", "typ"].includes(name)) say("J2", `the header has ${name}`);
  }
  if (!(typeof aud === "string" && aud !== "") && !(Array.isArray(aud) && aud.length > 0)) say("J3", "there is no aud");
  if (typeof exp !== "number") say("J3", "there is no exp");
  return broken;
}

/** What this CA refuses about a token, whoever its issuer is. */
function refusals(header: JsonObject, payload: JsonObject): Broken[] {
  const broken: Broken[] = [];
  const holds = (check: () => unknown) => {
    try {
      check();
    } catch (error) {
      broken.push({ rule: "CA", says: asSignetError(error, "token-not-accepted").message });
    }
  };
  holds(() => readTokenHeader(header));
  holds(() => readServiceAccountClaims(payload));
  if (!/^(?:(?:RS|ES|PS)(?:256|384|512)|EdDSA)$/.test(String(header.alg))) {
    broken.push({ rule: "CA", says: `its algorithm ${textOf(header.alg)} is none that tokens may have` });
  }
  return broken;
}
