import type { ServiceDefinition } from "@grpc/grpc-js";

const bytes = (message: Buffer): Buffer => message;

const method = (name: string, streaming: boolean) => ({
  path: `/envoy.service.secret.v3.SecretDiscoveryService/${name}`,
  requestStream: streaming,
  responseStream: streaming,
  // Messages pass as bytes: a request that cannot be read then ends its stream with a status of our choice, and a
  // response that many streams share is not encoded for each.
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

/** Envoy's service as grpc-js wants it; `proto/envoy/service/secret/v3/sds.proto` is where it comes from. */
export const secretDiscoveryService = {
  StreamSecrets: method("StreamSecrets", true),
  DeltaSecrets: method("DeltaSecrets", true),
  FetchSecrets: method("FetchSecrets", false),
} satisfies ServiceDefinition;
