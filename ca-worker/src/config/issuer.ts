import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { tokenAlgorithms } from "@signet/shared/token-rules";
import * as v from "valibot";
import { isAllowedKeyUrl } from "../authenticate/fetch-keys.ts";
import { JwkSet, type JwkSetDocument, jwkSetSchema } from "../authenticate/jwk-set.ts";
import { day, duration, issuePath, namespacePattern, parsedBy, trustDomain } from "./fields.ts";
import { storeLocation } from "./location.ts";

const keysSchema = v.union(
  [
    v.pipe(
      v.string(),
      v.check(
        (text) => text === "discovery" || /^file:./.test(text) || isAllowedKeyUrl(text),
        'must be "file:PATH", an https URL, "discovery" or a JWK Set',
      ),
    ),
    v.pipe(jwkSetSchema, parsedBy<JwkSetDocument>(JwkSet.parse)),
  ],
  'must be "file:PATH", an https URL, "discovery" or a JWK Set',
);

/** As an issuer's name: the API server of the cluster that the CA runs in, which then gives the real name and the keys. */
export const inCluster = "in-cluster";

const agentAccount = v.pipe(v.string(), v.regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, "must be namespace/service-account"));

/** Whose agents vouch for the nodes that workloads run on. */
export const nodeBindingSchema = v.union(
  [
    v.literal("off"),
    v.strictObject({ agents: v.pipe(v.array(agentAccount), v.minLength(1, "at least one agent is needed")) }),
  ],
  'must be "off" or {"agents": ["namespace/service-account"]}',
);
export type NodeBinding = v.InferOutput<typeof nodeBindingSchema>;

const tokenReview = v.strictObject({
  url: v.pipe(
    v.string(),
    v.check(isApiServerUrl, "must be the https URL of an API server, such as https://10.0.0.1:6443"),
  ),
  token: storeLocation,
  caCertificate: v.optional(storeLocation),
  cacheTtl: v.optional(duration(1, 300, "1s to 5m"), "10s"),
});
export type TokenReviewConfig = v.InferOutput<typeof tokenReview>;

function isApiServerUrl(text: string): boolean {
  return isAllowedKeyUrl(text) && !/[?#]/.test(text);
}

const issuerRules = {
  audiences: v.pipe(
    v.array(v.pipe(v.string(), v.nonEmpty("must not be empty"))),
    v.minLength(1, "at least one audience is needed"),
  ),
  trustDomain: v.optional(trustDomain),
  namespaces: v.optional(v.pipe(v.array(namespacePattern), v.minLength(1, "leave it out to allow all namespaces"))),
  path: v.optional(v.pipe(v.string(), parsedBy<string>(AccountPath.parse)), defaultAccountPath),
  nodeBinding: v.optional(nodeBindingSchema),
  tokenReview: v.optional(tokenReview),
  algorithms: v.optional(v.pipe(v.array(v.picklist(tokenAlgorithms)), v.minLength(1)), [...tokenAlgorithms]),
  maxTokenLifetime: v.optional(duration(60, 366 * day, "1m to 366d"), "24h"),
};

const namedIssuer = v.pipe(
  v.strictObject({
    issuer: v.pipe(v.string(), v.nonEmpty("must not be empty")),
    keys: keysSchema,
    ...issuerRules,
  }),
  v.forward(
    // The issuer's name is where discovery asks; over plain http anybody on the way could answer.
    v.check(
      ({ issuer, keys }) => keys !== "discovery" || (isAllowedKeyUrl(issuer) && !issuer.includes("?")),
      '"discovery" needs an https issuer without a query',
    ),
    ["keys"],
  ),
);

const clusterIssuer = v.strictObject({
  issuer: v.literal(inCluster),
  keys: v.optional(
    v.custom<undefined>(() => false, `leave it out: with "issuer": "${inCluster}" the API server gives the keys`),
  ),
  ...issuerRules,
});

const issuerSchema = v.lazy((input) =>
  typeof input === "object" && input !== null && "issuer" in input && input.issuer === inCluster
    ? clusterIssuer
    : namedIssuer,
);

// What agents take of `/v1/token-issuers`.
const maxIssuers = 256;

export const issuersSchema = v.pipe(
  v.array(issuerSchema),
  v.minLength(1, "at least one issuer is needed"),
  v.maxLength(maxIssuers, `over ${maxIssuers} issuers: agents take no more; divide them among several CAs`),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const names = new Set<string>();
    for (const [at, { issuer }] of dataset.value.entries()) {
      if (names.has(issuer)) addIssue({ message: "the issuer stands twice", path: issuePath(at, "issuer") });
      names.add(issuer);
    }
  }),
);
