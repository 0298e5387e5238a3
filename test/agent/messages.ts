import { create, toBinary } from "@bufbuild/protobuf";
import { SecretSchema } from "@signet/node-agent/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "@signet/node-agent/gen/envoy/service/discovery/v3/discovery_pb";
import { writeMetadata } from "@signet/node-agent/sds/node-metadata";
import { secretTypeUrl } from "@signet/node-agent/sds/secret";

export { DiscoveryResponseSchema, SecretSchema, secretTypeUrl };

export interface RequestFields {
  readonly names: readonly string[];
  readonly nonce: string;
  readonly version: string;
  readonly typeUrl: string;
  readonly nack: string | undefined;
  /** Of the node. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A DiscoveryRequest on the wire. */
export function createRequest({ names, nonce, version, typeUrl, nack, metadata = {} }: RequestFields): Uint8Array {
  return toBinary(
    DiscoveryRequestSchema,
    create(DiscoveryRequestSchema, {
      node: { id: "sidecar~10.0.0.1~sleep", cluster: "sleep", metadata: writeMetadata(metadata) },
      resourceNames: [...names],
      responseNonce: nonce,
      versionInfo: version,
      typeUrl,
      ...(nack === undefined ? {} : { errorDetail: { code: 13, message: nack } }),
    }),
  );
}
