import {
  maxBatchBytes,
  maxBatchItems,
  maxRequestBytes,
  maxTokenCharacters,
  nodeTokenHeader,
} from "@signet/shared/ca-api";
import { type CaErrorCode, caErrorCodes } from "@signet/shared/errors";
import { example } from "./examples.ts";
import { fresh } from "./headers.ts";
import { problemResponses } from "./problems.ts";
import { schemaRef } from "./schemas.ts";
import type { Operation, PathItem } from "./types.ts";

const workloadToken = "workloadToken";
const agentToken = "agentToken";

/** How callers prove who they are. */
export const securitySchemes = {
  [workloadToken]: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description:
      "The service account token of the pod that the certificate is for: bound to the pod, for an audience of the " +
      `CA's, at most ${maxTokenCharacters} characters. The certificate's SPIFFE ID is made from it and from nothing ` +
      `else.`,
  },
  [agentToken]: {
    type: "apiKey",
    in: "header",
    name: nodeTokenHeader,
    description:
      "The service account token of the node agent that asks. It must name the same node as the workload's token: a " +
      "token stolen from a pod signs nothing elsewhere, and an agent's token alone signs nothing.",
  },
};

/** What can come of the body, the tokens and the CSR of one request for a certificate. */
const codes = caErrorCodes.filter((code) => code !== "not-found" && code !== "method-not-allowed");
/** What can come of a batch as a whole. */
const batchCodes: readonly CaErrorCode[] = [
  "malformed-request",
  "token-missing",
  "token-not-accepted",
  "node-not-entitled",
  "body-too-large",
  "request-timeout",
  "unsupported-media-type",
  "rate-limited",
  "internal",
  "issuer-unavailable",
  "cannot-sign",
];

/** Whether an agent's token is asked for beside the workload's: always, never, or by the workload's issuer. */
export type NodeBinding = "on" | "off" | "by issuer";

/** @param issuers those whose tokens are taken; `agents` are the accounts of agents, or "off" */
export function nodeBindingOf(issuers: readonly { readonly agents: ReadonlySet<string> | "off" }[]): NodeBinding {
  if (issuers.every(({ agents }) => agents !== "off")) return "on";
  return issuers.every(({ agents }) => agents === "off") ? "off" : "by issuer";
}

/** `POST /v1/certificates` and its batch. */
export function issuance(nodeBinding: NodeBinding): Record<string, PathItem> {
  const agents = { on: [{ [agentToken]: [] }], off: [{}], "by issuer": [{ [agentToken]: [] }, {}] }[nodeBinding];
  const single: Operation = {
    operationId: "issueCertificate",
    summary: "Issue a certificate",
    description:
      "Signs an X509-SVID for the workload whose token it is, over the key of the CSR. The CSR's subject is not " +
      "looked at; its names are none, or exactly the SPIFFE ID that the token gives. What else it asks for is " +
      "refused, not trimmed. DNS names come from the CA's policy only. " +
      `The body is at most ${maxRequestBytes} bytes.`,
    tags: ["Certificates"],
    security: agents.map((agent) => ({ [workloadToken]: [], ...agent })),
    requestBody: {
      required: true,
      content: { "application/json": { schema: schemaRef("CertificateRequest"), example: example.certificateRequest } },
    },
    responses: {
      201: {
        description: "The certificate, its chain and the trust bundle.",
        headers: fresh,
        content: { "application/json": { schema: schemaRef("Certificate"), example: example.certificate } },
      },
      ...problemResponses(codes),
    },
  };
  const batch: Operation = {
    operationId: "issueCertificates",
    summary: "Issue certificates for many workloads of a node",
    description:
      `Up to ${maxBatchItems} requests of one agent, each with the token of its own workload. An item that fails ` +
      `does so alone, with the problem that a request of its own would have had; the results are in the order of the ` +
      `requests. The body is at most ${maxBatchBytes} bytes.`,
    tags: ["Certificates"],
    security: agents,
    requestBody: {
      required: true,
      content: { "application/json": { schema: schemaRef("BatchRequest"), example: example.batchRequest } },
    },
    responses: {
      200: {
        description: "A result for each item, good or bad.",
        headers: fresh,
        content: { "application/json": { schema: schemaRef("BatchAnswer"), example: example.batchAnswer } },
      },
      ...problemResponses(batchCodes),
    },
  };
  return { "/v1/certificates": { post: single }, "/v1/certificates/batch": { post: batch } };
}
