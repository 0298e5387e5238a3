import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { secretTypeUrl } from "./secret.ts";

// An Envoy asks for one name on a stream, a gateway for hundreds.
const maxNames = 1_000;

/**
 * Reads a request. What the subset does not know, such as Envoy's list of its extensions, is skipped and not kept.
 * @throws SignetError `malformed-request`
 */
export function readRequest(bytes: Uint8Array): DiscoveryRequest {
  let request: DiscoveryRequest;
  try {
    request = fromBinary(DiscoveryRequestSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new SignetError("malformed-request", "not an envoy.service.discovery.v3.DiscoveryRequest", { cause });
  }
  if (request.typeUrl !== "" && request.typeUrl !== secretTypeUrl) {
    throw new SignetError("malformed-request", `type_url must be ${secretTypeUrl}`);
  }
  if (request.resourceNames.length > maxNames) {
    throw new SignetError("malformed-request", `more than ${maxNames} resource names`);
  }
  return request;
}

export interface ResponseParts {
  readonly version: string;
  readonly nonce: string;
  /** Encoded Secret messages. */
  readonly secrets: readonly Uint8Array[];
}

export function writeResponse({ version, nonce, secrets }: ResponseParts): Uint8Array {
  return toBinary(
    DiscoveryResponseSchema,
    create(DiscoveryResponseSchema, {
      versionInfo: version,
      typeUrl: secretTypeUrl,
      nonce,
      resources: secrets.map((value) => ({ typeUrl: secretTypeUrl, value })),
    }),
  );
}
