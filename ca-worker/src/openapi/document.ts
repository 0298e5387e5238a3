import { headers } from "./headers.ts";
import { health } from "./health.ts";
import { issuance, type NodeBinding, securitySchemes } from "./issuance.ts";
import { publication } from "./publication.ts";
import { componentSchemas } from "./schemas.ts";
import type { Document } from "./types.ts";

export interface DocumentOptions {
  readonly nodeBinding: NodeBinding;
}

/** Version of the API; a test holds it against package.json. */
const version = "0.1.0";

/** The API as OpenAPI 3.1, made from the schemas that validate, the codes of the errors and the examples. */
export function openApiDocument({ nodeBinding }: DocumentOptions): Document {
  const { agentToken, ...workload } = securitySchemes;
  return {
    openapi: "3.1.1",
    info: {
      title: "Signet CA",
      version,
      summary: "Workload identity for service meshes: X.509 certificates for service account tokens.",
      description:
        "Node agents ask for certificates with the tokens of their workloads; everybody may read what is to be " +
        "trusted.\n\nAn answer that is not as asked is `application/problem+json` (RFC 9457); programs go by its " +
        "`type`. Where a path has GET, it has HEAD too, and every path has OPTIONS. Another method gets 405 " +
        "`method-not-allowed` with `allow`, another path 404 `not-found`.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The CA that this document comes from." }],
    tags: [
      { name: "Certificates", description: "For node agents, which prove who they and their workloads are." },
      { name: "Publication", description: "What the CA trusts and is trusted by. Public, and made to be kept." },
      { name: "Health", description: "For those who run the CA." },
    ],
    paths: { ...issuance(nodeBinding), ...publication(), ...health() },
    components: {
      schemas: componentSchemas(),
      headers,
      securitySchemes: nodeBinding === "off" ? workload : { ...workload, agentToken },
    },
  };
}
