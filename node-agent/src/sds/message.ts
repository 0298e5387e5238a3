import type { BinaryReader } from "@bufbuild/protobuf/wire";
import { SignetError } from "@signet/shared/errors";
import { secretTypeUrl } from "./secret.ts";
import {
  bytesField,
  encodeText,
  joined,
  lengthDelimited,
  messageField,
  type Pieces,
  readFields,
  textField,
  varint,
} from "./wire.ts";

// An Envoy asks for one name on a stream, a gateway for hundreds.
const maxNames = 1_000;
// The longest SPIFFE ID there may be; any other name is shorter.
const maxNameLength = 2_048;

/** An Envoy, as far as it matters what it is. */
export interface EnvoyNode {
  /** A google.protobuf.Struct; empty where the node says nothing. */
  readonly metadata: Uint8Array;
  /** Undefined where the node does not say. */
  readonly version: { readonly major: number; readonly minor: number } | undefined;
}

/** Why a client refuses a response. */
export interface Refusal {
  /** A gRPC status code. */
  readonly code: number;
  readonly message: string;
}

/** Of `envoy.service.discovery.v3.DiscoveryRequest` what is used; names as there. */
export interface DiscoveryRequest {
  readonly node: EnvoyNode | undefined;
  readonly resourceNames: readonly string[];
  readonly responseNonce: string;
  readonly errorDetail: Refusal | undefined;
}

/** Of `envoy.service.discovery.v3.DeltaDiscoveryRequest` what is used; names as there. */
export interface DeltaDiscoveryRequest {
  readonly node: EnvoyNode | undefined;
  readonly resourceNamesSubscribe: readonly string[];
  readonly resourceNamesUnsubscribe: readonly string[];
  readonly initialResourceVersions: ReadonlyMap<string, string>;
  readonly responseNonce: string;
  readonly errorDetail: Refusal | undefined;
}

/**
 * Reads a request. What is not used of it, such as Envoy's list of its extensions, is stepped over.
 * @throws SignetError `malformed-request`
 */
export function readRequest(bytes: Uint8Array): DiscoveryRequest {
  const request = {
    node: undefined as EnvoyNode | undefined,
    resourceNames: [] as string[],
    responseNonce: "",
    errorDetail: undefined as Refusal | undefined,
  };
  read("DiscoveryRequest", bytes, (field, reader) => {
    if (field === lengthDelimited(2)) request.node = readNode(reader.bytes(), request.node);
    else if (field === lengthDelimited(3)) addName(request.resourceNames, "resource_names", reader);
    else if (field === lengthDelimited(4)) checkType(reader.string(true));
    else if (field === lengthDelimited(5)) request.responseNonce = reader.string(true);
    else if (field === lengthDelimited(6)) request.errorDetail = readRefusal(reader.bytes(), request.errorDetail);
    else return false;
    return true;
  });
  return request;
}

/**
 * Reads an incremental request.
 * @throws SignetError `malformed-request`
 */
export function readDeltaRequest(bytes: Uint8Array): DeltaDiscoveryRequest {
  const versions = new Map<string, string>();
  const request = {
    node: undefined as EnvoyNode | undefined,
    resourceNamesSubscribe: [] as string[],
    resourceNamesUnsubscribe: [] as string[],
    initialResourceVersions: versions,
    responseNonce: "",
    errorDetail: undefined as Refusal | undefined,
  };
  read("DeltaDiscoveryRequest", bytes, (field, reader) => {
    if (field === lengthDelimited(1)) request.node = readNode(reader.bytes(), request.node);
    else if (field === lengthDelimited(2)) checkType(reader.string(true));
    else if (field === lengthDelimited(3)) addName(request.resourceNamesSubscribe, "resource_names_subscribe", reader);
    else if (field === lengthDelimited(4)) {
      addName(request.resourceNamesUnsubscribe, "resource_names_unsubscribe", reader);
    } else if (field === lengthDelimited(5)) {
      const [name, version] = readVersion(reader.bytes());
      checkName("initial_resource_versions", name, versions.size);
      versions.set(name, version);
    } else if (field === lengthDelimited(6)) request.responseNonce = reader.string(true);
    else if (field === lengthDelimited(7)) request.errorDetail = readRefusal(reader.bytes(), request.errorDetail);
    else return false;
    return true;
  });
  return request;
}

function read(what: string, bytes: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  try {
    readFields(bytes, take);
  } catch (cause) {
    if (cause instanceof SignetError) throw cause;
    throw new SignetError("malformed-request", `not an envoy.service.discovery.v3.${what}`, { cause });
  }
}

// A message may come in parts, of which the later ones count where they say something.
function readNode(bytes: Uint8Array, before: EnvoyNode | undefined): EnvoyNode {
  const node = { metadata: before?.metadata ?? Uint8Array.of(), version: before?.version };
  readFields(bytes, (field, reader) => {
    if (field === lengthDelimited(3)) node.metadata = reader.bytes();
    else if (field === lengthDelimited(8)) node.version = readBuildVersion(reader.bytes(), node.version);
    else return false;
    return true;
  });
  return node;
}

function readBuildVersion(bytes: Uint8Array, before: EnvoyNode["version"]): EnvoyNode["version"] {
  let version = before;
  readFields(bytes, (field, reader) => {
    if (field !== lengthDelimited(1)) return false;
    let { major, minor } = version ?? { major: 0, minor: 0 };
    readFields(reader.bytes(), (inner, numbers) => {
      if (inner === varint(1)) major = numbers.uint32();
      else if (inner === varint(2)) minor = numbers.uint32();
      else return false;
      return true;
    });
    version = { major, minor };
    return true;
  });
  return version;
}

function readRefusal(bytes: Uint8Array, before: Refusal | undefined): Refusal {
  const refusal = { code: 0, message: "", ...before };
  readFields(bytes, (field, reader) => {
    if (field === varint(1)) refusal.code = reader.int32();
    else if (field === lengthDelimited(2)) refusal.message = reader.string(true);
    else return false;
    return true;
  });
  return refusal;
}

function readVersion(bytes: Uint8Array): [name: string, version: string] {
  const entry: [string, string] = ["", ""];
  readFields(bytes, (field, reader) => {
    if (field === lengthDelimited(1)) entry[0] = reader.string(true);
    else if (field === lengthDelimited(2)) entry[1] = reader.string(true);
    else return false;
    return true;
  });
  return entry;
}

function checkType(typeUrl: string): void {
  if (typeUrl === "" || typeUrl === secretTypeUrl) return;
  throw new SignetError("malformed-request", `type_url must be ${secretTypeUrl}`);
}

function addName(names: string[], field: string, reader: BinaryReader): void {
  const name = reader.string(true);
  checkName(field, name, names.length);
  names.push(name);
}

function checkName(field: string, name: string, before: number): void {
  if (before >= maxNames) throw new SignetError("malformed-request", `${field}: more than ${maxNames} names`);
  if (name.length > maxNameLength) {
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

/** A DiscoveryResponse. */
export function writeResponse(nonce: string, secrets: readonly OutgoingSecret[]): Uint8Array {
  return joined([
    ...textField(1, versionOf(secrets)),
    ...secrets.flatMap(({ bytes }) => messageField(2, anySecret(bytes))),
    ...textField(4, secretTypeUrl),
    ...textField(5, nonce),
  ]);
}

/**
 * A DeltaDiscoveryResponse.
 * @param removed names that stand for nothing here
 */
export function writeDeltaResponse(
  nonce: string,
  secrets: readonly OutgoingSecret[],
  removed: readonly string[],
): Uint8Array {
  return joined([
    ...textField(1, versionOf(secrets)),
    ...secrets.flatMap((secret) => messageField(2, resource(secret))),
    ...textField(4, secretTypeUrl),
    ...textField(5, nonce),
    ...removed.flatMap((name) => messageField(6, [encodeText(name)])),
  ]);
}

function resource({ name, version, bytes }: OutgoingSecret): Pieces {
  return [...textField(1, version), ...messageField(2, anySecret(bytes)), ...textField(3, name)];
}

function anySecret(bytes: Uint8Array): Pieces {
  return [...textField(1, secretTypeUrl), ...bytesField(2, bytes)];
}

// Of the response as a whole: each version that is in it, once.
function versionOf(secrets: readonly OutgoingSecret[]): string {
  return [...new Set(secrets.map(({ version }) => version))].join("+");
}
