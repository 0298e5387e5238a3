import { pemContentType } from "@signet/shared/ca-api";
import { example } from "./examples.ts";
import { cached, headerRef } from "./headers.ts";
import { problemResponses } from "./problems.ts";
import { schemaRef } from "./schemas.ts";
import type { Operation, Parameter, PathItem, ResponseObject } from "./types.ts";

const ifNoneMatch: Parameter = {
  name: "if-none-match",
  in: "header",
  description: "The `etag` of what the client has already.",
  schema: { type: "string" },
};
const trustDomain: Parameter = {
  name: "trustDomain",
  in: "query",
  description: "Name of one of the trust domains that this CA serves; its own where it is not said.",
  schema: { type: "string" },
};

const notModified = (headers: ResponseObject["headers"]): ResponseObject => ({
  description: "The client has it already.",
  ...(headers !== undefined && { headers }),
});

/** What the CA publishes, for everybody to read. */
export function publication(): Record<string, PathItem> {
  const published = { tags: ["Publication"], security: [] };
  const perForm = { ...cached, vary: headerRef("VaryAccept") };
  const bundleCodes = ["malformed-request", "not-found", "internal", "cannot-sign"] as const;
  const trustBundle: Operation = {
    operationId: "getTrustBundle",
    summary: "The trust bundle",
    description:
      "The root certificates of a trust domain, as JSON or as PEM by `accept`. Ask again after `refreshHintSeconds`, " +
      "with the `etag` of the last answer in the same form.",
    ...published,
    parameters: [trustDomain, ifNoneMatch],
    responses: {
      200: {
        description: "The bundle.",
        headers: perForm,
        content: {
          "application/json": { schema: schemaRef("TrustBundle"), example: example.trustBundle },
          [pemContentType]: {
            schema: {
              type: "string",
              description: "The roots, one PEM block after the other.",
              pattern: "^(?:-----BEGIN CERTIFICATE-----\\n[A-Za-z0-9+/=\\n]+-----END CERTIFICATE-----\\n)*$",
            },
            example: example.trustBundle.roots.join(""),
          },
        },
      },
      304: notModified(perForm),
      ...problemResponses(bundleCodes),
    },
  };
  const spiffeBundle: Operation = {
    operationId: "getSpiffeBundle",
    summary: "The trust bundle, for other trust domains",
    description:
      "The roots as a JWK Set in the form of SPIFFE Trust Domain and Bundle §4. This is the bundle endpoint of " +
      "SPIFFE Federation with the profile `https_web`.",
    ...published,
    parameters: [trustDomain, ifNoneMatch],
    responses: {
      200: {
        description: "The bundle.",
        headers: cached,
        content: { "application/json": { schema: schemaRef("SpiffeBundle"), example: example.spiffeBundle } },
      },
      304: notModified(cached),
      ...problemResponses(bundleCodes),
    },
  };
  const tokenIssuers: Operation = {
    operationId: "getTokenIssuers",
    summary: "What tokens are verified with",
    description:
      "Public keys and rules of the issuers whose tokens the CA takes, for agents that must check tokens while they " +
      "cannot reach the CA. An issuer whose keys the CA does not have at the time is left out.",
    ...published,
    parameters: [ifNoneMatch],
    responses: {
      200: {
        description: "The issuers.",
        headers: cached,
        content: { "application/json": { schema: schemaRef("TokenIssuers"), example: example.tokenIssuers } },
      },
      304: notModified(cached),
      ...problemResponses(["internal", "cannot-sign"]),
    },
  };
  const document: Operation = {
    operationId: "getOpenApi",
    summary: "This document",
    description: "OpenAPI 3.1, made from the schemas that requests are validated with.",
    ...published,
    parameters: [ifNoneMatch],
    responses: {
      200: {
        description: "The document.",
        headers: cached,
        content: {
          "application/json": {
            schema: {
              type: "object",
              required: ["openapi", "info", "paths"],
              properties: {
                openapi: { const: "3.1.1" },
                info: { type: "object" },
                servers: { type: "array" },
                tags: { type: "array" },
                paths: { type: "object" },
                components: { type: "object" },
              },
            },
          },
        },
      },
      304: notModified(cached),
      ...problemResponses(["internal", "cannot-sign"]),
    },
  };
  return {
    "/v1/trust-bundle": { get: trustBundle },
    "/v1/token-issuers": { get: tokenIssuers },
    "/.well-known/spiffe-bundle": { get: spiffeBundle },
    "/openapi.json": { get: document },
  };
}
