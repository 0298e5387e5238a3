import * as v from "valibot";
import { fromBase64Url } from "./base64.ts";
import { asSignetError, SignetError } from "./errors.ts";
import { parseStrictJson } from "./strict-json.ts";

/**
 * What a Kubernetes service-account token says of its pod (KEP-1205 bound tokens, KEP-4193 node claims). Reading it
 * proves nothing: only the CA verifies, and whoever reads an unverified token must not act on it as an identity.
 */
export interface ServiceAccountClaims {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** `system:serviceaccount:<namespace>:<name>`, already checked against the claims below. */
  readonly subject: string;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly tokenId: string | undefined;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
  /** Both are absent from tokens of Kubernetes before 1.30 and of pods that have no node yet. */
  readonly nodeName: string | undefined;
  readonly nodeUid: string | undefined;
}

// RFC 1123, as the API server enforces it for namespaces and service accounts.
const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
// Kubernetes makes UUIDs; all that counts here is that it can stand in a log line and be compared.
const uid = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/));
const name = v.pipe(v.string(), v.maxLength(253), v.regex(subdomain));
const seconds = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

const payloadSchema = v.object({
  iss: v.pipe(v.string(), v.nonEmpty()),
  aud: v.union([v.pipe(v.string(), v.nonEmpty()), v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.minLength(1))]),
  sub: v.string(),
  iat: seconds,
  nbf: seconds,
  exp: seconds,
  jti: v.optional(v.pipe(v.string(), v.maxLength(256))),
  "kubernetes.io": v.object({
    namespace: v.pipe(v.string(), v.regex(label)),
    serviceaccount: v.object({ name }),
    pod: v.object({ name, uid }),
    // Without a uid where the API server did not find the node (pkg/registry/core/serviceaccount/storage/token.go).
    node: v.optional(v.object({ name: v.optional(name), uid: v.optional(uid) })),
  }),
});

/**
 * The claims of a token's payload. Each must be present and of its type, and `sub` must name the same account as the
 * `kubernetes.io` claims.
 * @throws SignetError `malformed-token`, whose message names the claim
 */
export function readServiceAccountClaims(payload: unknown): ServiceAccountClaims {
  const result = v.safeParse(payloadSchema, payload);
  if (!result.success) {
    const [issue] = result.issues;
    // What stands there may be anything: only what should is told.
    const fault = issue.received === "undefined" ? "missing" : `must be ${issue.expected ?? "of its form"}`;
    throw malformed(`claim ${v.getDotPath(issue) ?? "payload"}: ${fault}`);
  }
  const claims = result.output;
  const { namespace, serviceaccount, pod, node } = claims["kubernetes.io"];
  if (claims.sub !== `system:serviceaccount:${namespace}:${serviceaccount.name}`) {
    throw malformed("claim sub does not agree with the kubernetes.io claims");
  }
  return {
    issuer: claims.iss,
    audiences: typeof claims.aud === "string" ? [claims.aud] : claims.aud,
    subject: claims.sub,
    issuedAt: claims.iat,
    notBefore: claims.nbf,
    expiresAt: claims.exp,
    tokenId: claims.jti,
    namespace,
    serviceAccount: serviceaccount.name,
    podName: pod.name,
    podUid: pod.uid,
    nodeName: node?.name,
    nodeUid: node?.uid,
  };
}

/** The parts of a compact JWS (RFC 7515 §3.1), decoded and NOT verified. */
export interface DecodedToken {
  readonly header: unknown;
  readonly payload: unknown;
  /** What the signature is over: the first two parts as they stand in the text. */
  readonly signed: string;
  readonly signature: Uint8Array<ArrayBuffer>;
}

// With its byte order mark left in, a text that has one is no JSON.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Takes a token apart WITHOUT verifying its signature.
 * @throws SignetError `malformed-token`
 */
export function decodeTokenParts(token: string): DecodedToken {
  const parts = token.split(".");
  const [header, payload, signature] = parts.map(fromBase64Url);
  if (header === undefined || payload === undefined || signature === undefined || parts.length !== 3) {
    throw malformed("not a compact JWS");
  }
  return {
    header: readPart("header", header),
    payload: readPart("payload", payload),
    signed: token.slice(0, token.lastIndexOf(".")),
    signature,
  };
}

function readPart(part: string, bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new SignetError("malformed-token", `token: its ${part} is not UTF-8`, { cause });
  }
  try {
    return parseStrictJson(text);
  } catch (cause) {
    const { message } = asSignetError(cause, "malformed-json");
    throw new SignetError("malformed-token", `token: its ${part}: ${message}`, { cause });
  }
}

/**
 * The payload of a token WITHOUT verifying its signature.
 * @throws SignetError `malformed-token`
 */
export function decodeTokenUnverified(token: string): unknown {
  return decodeTokenParts(token).payload;
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-token", `token: ${reason}`);
}
