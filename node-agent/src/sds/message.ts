import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { secretTypeUrl } from "./secret.ts";

// An Envoy asks for one name on a stream, a gateway for hundreds.
const maxNames = 1_000;
// The longest SPIFFE ID there may be; any other name is shorter.
const maxNameLength = 2_048;

/**
 * Reads a request. What the subset does not know, such as Envoy's list of its extensions, is skipped and not kept.
 * @throws SignetError `malformed-request`
 */
export function readRequest(bytes: Uint8Array): DiscoveryRequest {
  const request = read(DiscoveryRequestSchema, bytes);
  checkType(request.typeUrl);
  checkNames("resource_names", request.resourceNames);
  return request;
}

/**
 * Reads an incremental request.
 * @throws SignetError `malformed-request`
 */
export function readDeltaRequest(bytes: Uint8Array): DeltaDiscoveryRequest {
  const request = read(DeltaDiscoveryRequestSchema, bytes);
  checkType(request.typeUrl);
  checkNames("resource_names_subscribe", request.resourceNamesSubscribe);
  checkNames("resource_names_unsubscribe", request.resourceNamesUnsubscribe);
  checkNames("initial_resource_versions", Object.keys(request.initialResourceVersions));
  return request;
}

function read<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new SignetError("malformed-request", `not an ${schema.typeName}`, { cause });
  }
}

function checkType(typeUrl: string): void {
  if (typeUrl === "" || typeUrl === secretTypeUrl) return;
  throw new SignetError("malformed-request", `type_url must be ${secretTypeUrl}`);
}

function checkNames(field: string, names: readonly string[]): void {
  if (names.length > maxNames) {
    throw new SignetError("malformed-request", `${field}: more than ${maxNames} names`);
  }
  if (names.some((name) => name.length > maxNameLength)) {
    throw new SignetError("malformed-request", `${field}: a name of more than ${maxNameLength} characters`);
  }
}

/** One secret on its way to a client. */
export interface OutgoingSecret {
  readonly name: string;
  readonly version: string;
  /** An encoded Secret message. */
  readonly bytes: Uint8Array;
}

const asAny = (value: Uint8Array) => ({ $typeName: "google.protobuf.Any" as const, typeUrl: secretTypeUrl, value });

// Of the response as a whole: each version that is in it, once.
const versionOf = (secrets: readonly OutgoingSecret[]) => [...new Set(secrets.map(({ version }) => version))].join("+");

export function writeResponse(nonce: string, secrets: readonly OutgoingSecret[]): Uint8Array {
  return toBinary(
    DiscoveryResponseSchema,
    create(DiscoveryResponseSchema, {
      versionInfo: versionOf(secrets),
      typeUrl: secretTypeUrl,
      nonce,
      resources: secrets.map(({ bytes }) => asAny(bytes)),
    }),
  );
}

/** @param removed names that stand for nothing here */
export function writeDeltaResponse(
  nonce: string,
  secrets: readonly OutgoingSecret[],
  removed: readonly string[],
): Uint8Array {
  return toBinary(
    DeltaDiscoveryResponseSchema,
    create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: versionOf(secrets),
      typeUrl: secretTypeUrl,
      nonce,
      resources: secrets.map(({ name, version, bytes }) => ({ name, version, resource: asAny(bytes) })),
      removedResources: [...removed],
    }),
  );
}
