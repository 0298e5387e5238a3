import {
  batchAnswer,
  batchItem,
  batchRequest,
  certificate,
  certificateRequest,
  issuedResult,
  problem,
  problemTypePrefix,
  publishedJwk,
  refusedResult,
  tokenIssuers,
  trustBundle,
} from "@signet/shared/ca-api";
import { caErrorCodes } from "@signet/shared/errors";
import { toJsonSchemaDefs } from "@valibot/to-json-schema";
import * as v from "valibot";
import type { Schema } from "./types.ts";

const described = (description: string) => v.pipe(v.string(), v.description(description));

/** SPIFFE Trust Domain and Bundle §4. */
const spiffeBundle = v.object({
  keys: v.array(
    v.object({
      kty: described("Key type (RFC 7517 §4.1)."),
      use: v.pipe(v.literal("x509-svid"), v.description("What the key is for: certificates that are X509-SVIDs.")),
      ...v.entriesFromList(["crv", "x", "y", "n", "e"], v.optional(v.string())),
      x5c: v.pipe(v.array(v.string()), v.length(1), v.description("The root certificate, base64 of its DER.")),
    }),
  ),
  spiffe_sequence: v.pipe(v.number(), v.integer(), v.description("Grows with every change of the bundle.")),
  spiffe_refresh_hint: v.pipe(v.number(), v.integer(), v.description("Seconds after which to look for a newer one.")),
});

const health = v.object({ status: v.literal("ok") });
const readiness = {
  status: v.literal("ready"),
  authority: described("Which authority signs now."),
  sequence: v.pipe(v.number(), v.integer(), v.description("Of the trust bundle.")),
};
const unreadiness = {
  status: v.literal("not ready"),
  code: described("Code of the error."),
  reason: described("What is wrong, for who runs the CA."),
};
const trustDomains = v.optional(
  v.pipe(
    v.array(
      v.union([
        v.object({ trustDomain: described("Name of the trust domain."), ...readiness }),
        v.object({ trustDomain: described("Name of the trust domain."), ...unreadiness }),
      ]),
    ),
    v.description("Each of them, where the CA serves several."),
  ),
);
const ready = v.object({ ...readiness, trustDomains });
const notReady = v.object({ ...unreadiness, trustDomains });

const definitions = {
  CertificateRequest: certificateRequest,
  Certificate: certificate,
  TrustBundle: trustBundle,
  BatchRequest: batchRequest,
  BatchItem: batchItem,
  BatchAnswer: batchAnswer,
  IssuedResult: issuedResult,
  RefusedResult: refusedResult,
  Problem: problem,
  TokenIssuers: tokenIssuers,
  PublishedJwk: publishedJwk,
  SpiffeBundle: spiffeBundle,
  Health: health,
  Ready: ready,
  NotReady: notReady,
};
export type SchemaName = keyof typeof definitions;

export const schemaRef = (name: SchemaName): { $ref: string } => ({ $ref: `#/components/schemas/${name}` });

/** The schemas that requests and answers are validated with, as JSON Schema 2020-12. */
export function componentSchemas(): Record<SchemaName, Schema> {
  const made = toJsonSchemaDefs(definitions, {
    target: "draft-2020-12",
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
    overrideAction: ({ valibotAction, jsonSchema }) =>
      valibotAction.type === "safe_integer"
        ? { ...jsonSchema, type: "integer", maximum: Number.MAX_SAFE_INTEGER }
        : undefined,
  }) as unknown as Record<SchemaName, Schema>;
  return {
    ...made,
    // Each item is held against its schema by itself, after the whole.
    BatchRequest: withItems(made.BatchRequest, "requests", schemaRef("BatchItem")),
    BatchAnswer: withItems(made.BatchAnswer, "results", {
      oneOf: [schemaRef("IssuedResult"), schemaRef("RefusedResult")],
    }),
    Problem: withProperty(made.Problem, "type", { enum: caErrorCodes.map((code) => `${problemTypePrefix}${code}`) }),
  };
}

function withItems(schema: Schema, name: string, items: Schema): Schema {
  return withProperty(schema, name, { items });
}

function withProperty(schema: Schema, name: string, more: Schema): Schema {
  const property = schema.properties?.[name];
  return { ...schema, properties: { ...schema.properties, [name]: { ...property, ...more } } };
}
