import * as v from "valibot";

/**
 * What goes over HTTP between the agent and the CA. Both sides validate with these schemas: the CA refuses members that
 * it does not know, the agent ignores them, so that a newer CA can say more to an older agent. The CA's OpenAPI document
 * is made from them too, descriptions included.
 */

/** More than any chain or request that Signet makes; a body over this is refused before it is read. */
export const maxRequestBytes = 64 * 1024;
/** A P-384 CSR with one SPIFFE ID of 2048 bytes is under 4 KiB, an RSA-4096 one under 6 KiB. */
export const maxCsrCharacters = 12 * 1024;
/** Kubernetes' own tokens are 1 to 2 KiB. */
export const maxTokenCharacters = 16 * 1024;

/** Header that carries the agent's own token. */
export const nodeTokenHeader = "signet-node-token";
export const problemContentType = "application/problem+json";
export const pemContentType = "application/x-pem-file";

export const certificateRequest = v.strictObject({
  csr: v.pipe(v.string(), v.maxLength(maxCsrCharacters), v.description("PKCS#10 request as one PEM block.")),
  ttlSeconds: v.optional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.minValue(1),
      v.description("Wished life in seconds; the CA shortens it to its policy."),
    ),
  ),
});
export type CertificateRequest = v.InferOutput<typeof certificateRequest>;

/** Most items of a batch. */
export const maxBatchItems = 256;
/** Fits that many of the longest tokens and CSRs, with their member names. */
export const maxBatchBytes = maxBatchItems * (maxTokenCharacters + maxCsrCharacters + 1_024);

/** One item of a batch; each is held against this by itself, so that one that does not fit spoils no other. */
export const batchItem = v.strictObject({
  token: v.pipe(
    v.string(),
    v.description("The workload's token: what a single request has in its `authorization`, without `Bearer`."),
  ),
  ...certificateRequest.entries,
});
export type BatchItem = v.InferOutput<typeof batchItem>;

export const batchRequest = v.strictObject({
  requests: v.pipe(v.array(v.unknown()), v.minLength(1), v.maxLength(maxBatchItems)),
});

export const trustBundle = v.object({
  trustDomain: v.pipe(v.string(), v.description("Trust domain name, without `spiffe://`.")),
  sequence: v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(0),
    v.description("Grows with every change of the authorities."),
  ),
  refreshHintSeconds: v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.description("Seconds after which to look for a newer bundle."),
  ),
  roots: v.pipe(v.array(v.string()), v.description("Root certificates, one PEM block each.")),
  taintedKeyIds: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2}){1,64}$/))),
      v.maxLength(256),
      v.description(
        "Subject key identifiers, lower-case hex, of authorities whose key nobody should trust any more: certificates " +
          "that hang on one of them are to be replaced now. Absent where there is none.",
      ),
    ),
  ),
});
export type TrustBundle = v.InferOutput<typeof trustBundle>;

const text = v.pipe(v.string(), v.maxLength(8_192));
const described = (description: string) => v.pipe(text, v.description(description));

/** A public key of an issuer of tokens: its numbers, and what they are for. */
export const publishedJwk = v.object({
  kty: text,
  ...v.entriesFromList(["kid", "use", "alg", "crv", "n", "e", "x", "y"], v.optional(text)),
});
export type PublishedJwk = v.InferOutput<typeof publishedJwk>;

/** What the CA verifies tokens with, for agents that cannot reach it for a while. All of it is public. */
export const tokenIssuers = v.object({
  issuers: v.pipe(
    v.array(
      v.object({
        issuer: described("`iss` of its tokens."),
        audiences: v.pipe(v.array(text), v.description("Audiences of which a token needs one.")),
        algorithms: v.pipe(v.array(text), v.description("Signature algorithms by their names in RFC 7518.")),
        maxTokenLifetimeSeconds: v.pipe(v.number(), v.description("Longest `exp - iat` of a token that is accepted.")),
        trustDomain: described("Name of the trust domain that its accounts belong to, without `spiffe://`."),
        accountPath: v.optional(
          described("Path of their SPIFFE IDs; `/ns/{namespace}/sa/{serviceAccount}` where it is left out."),
        ),
        /** JWK Set (RFC 7517 §5). */
        keys: v.object({ keys: v.pipe(v.array(publishedJwk), v.maxLength(256)) }),
      }),
    ),
    v.maxLength(256),
  ),
});
export type TokenIssuers = v.InferOutput<typeof tokenIssuers>;

export const certificate = v.object({
  spiffeId: v.pipe(v.string(), v.description("The identity that the certificate is for.")),
  certificateChain: v.pipe(
    v.array(v.string()),
    v.minLength(1),
    v.description("Leaf first, then intermediates; one PEM block each, no root."),
  ),
  trustBundle,
  serialNumber: v.pipe(v.string(), v.description("Lower-case hex, without leading zeros of the number.")),
  notBefore: v.pipe(v.string(), v.description("RFC 3339 in UTC.")),
  notAfter: v.pipe(v.string(), v.description("RFC 3339 in UTC.")),
});
export type Certificate = v.InferOutput<typeof certificate>;

/** RFC 9457. */
export const problem = v.object({
  type: v.pipe(v.string(), v.description("`urn:signet:problem:` and a code; what programs act on.")),
  title: v.pipe(v.string(), v.description("What the code means.")),
  status: v.pipe(v.number(), v.description("The HTTP status again.")),
  requestId: v.optional(v.pipe(v.string(), v.description("By which the CA's log tells of this request."))),
  detail: v.optional(
    v.pipe(v.string(), v.description("What to mend in the request. Never there with 401 and 403: the log says why.")),
  ),
});
export type Problem = v.InferOutput<typeof problem>;

export const issuedResult = v.object({ status: v.literal(201), certificate });
export const refusedResult = v.object({
  status: v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
  problem,
  retryAfterSeconds: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.description("What `retry-after` says in the answer to a single request."),
    ),
  ),
});
export type BatchResult = v.InferOutput<typeof issuedResult> | v.InferOutput<typeof refusedResult>;

/** As many results as there were requests, in the same order. */
export const batchAnswer = v.object({ results: v.array(v.unknown()) });

export const problemTypePrefix = "urn:signet:problem:";
