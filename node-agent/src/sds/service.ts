const service = "/envoy.service.secret.v3.SecretDiscoveryService/";

/** Paths of Envoy's methods; `proto/envoy/service/secret/v3/sds.proto` is where they come from. */
export const sdsPath = {
  stream: `${service}StreamSecrets`,
  delta: `${service}DeltaSecrets`,
  fetch: `${service}FetchSecrets`,
} as const;
