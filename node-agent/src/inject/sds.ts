import type { SpiffeId } from "@signet/shared/spiffe-id";
import type { InjectOptions } from "./options.ts";

/** Where pods find their identity; each folder is mounted, never the socket itself. */
export const csiFolder = "/var/run/secrets/workload-spiffe-uds";
export const sharedFolder = "/var/run/sds";
export const tokenFolder = "/var/run/secrets/tokens";
export const tokenFile = "signet-token";

const clusterName = "sds-grpc";
const keepaliveSeconds = { interval: 30, timeout: 5 };

export interface IdentitySource {
  /** For tls_certificate_sds_secret_configs and the like; one object, so that Envoy makes one client for all. */
  readonly sdsConfig: object;
  readonly clusters: readonly object[];
}

/** How the sidecar asks the agent for its key, certificate and bundle. */
export function identitySource({ identity }: Pick<InjectOptions, "identity">): IdentitySource {
  const grpcService = identity === "csi" ? { envoy_grpc: { cluster_name: clusterName } } : { google_grpc: googleGrpc };
  return {
    sdsConfig: {
      resource_api_version: "V3",
      // Wait for the identity: without it there is no port that could answer and no request that could be sent.
      initial_fetch_timeout: "0s",
      api_config_source: { api_type: "GRPC", transport_api_version: "V3", grpc_services: [grpcService] },
    },
    clusters: identity === "csi" ? [socketCluster] : [],
  };
}

// Whoever speaks on this socket is this pod: no token. As Istio's bootstrap has it, and a keepalive, without which a
// connection that died silently is never noticed.
const socketCluster = {
  name: clusterName,
  type: "STATIC",
  connect_timeout: "1s",
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: {
        http2_protocol_options: {
          connection_keepalive: { interval: `${keepaliveSeconds.interval}s`, timeout: `${keepaliveSeconds.timeout}s` },
        },
      },
    },
  },
  load_assignment: {
    cluster_name: clusterName,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: `${csiFolder}/socket` } } } }] }],
  },
};

const fileBasedMetadata = "envoy.grpc_credentials.file_based_metadata";

// Only google_grpc reads a token from its file anew for each stream.
const googleGrpc = {
  target_uri: `unix:${sharedFolder}/uds_path`,
  stat_prefix: "sdsstat",
  channel_credentials: { local_credentials: {} },
  channel_args: {
    args: {
      "grpc.keepalive_time_ms": { int_value: keepaliveSeconds.interval * 1_000 },
      "grpc.keepalive_timeout_ms": { int_value: keepaliveSeconds.timeout * 1_000 },
      "grpc.http2.max_pings_without_data": { int_value: 0 },
    },
  },
  credentials_factory_name: fileBasedMetadata,
  call_credentials: [
    {
      from_plugin: {
        name: fileBasedMetadata,
        typed_config: {
          "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
          secret_data: { filename: `${tokenFolder}/${tokenFile}` },
          header_key: "istio_sds_credentials_header-bin",
        },
      },
    },
  ],
};

type SanMatcher = { readonly exact: string } | { readonly prefix: string };

/** Own identity and the rule for the other side's; the same for both directions. */
export function tlsContext(sdsConfig: object, accepted: readonly SanMatcher[], alpn: readonly string[]): object {
  return {
    tls_params: { tls_minimum_protocol_version: "TLSv1_2", tls_maximum_protocol_version: "TLSv1_3" },
    ...(alpn.length === 0 ? {} : { alpn_protocols: alpn }),
    tls_certificate_sds_secret_configs: [{ name: "default", sds_config: sdsConfig }],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: accepted.map((matcher) => ({ san_type: "URI", matcher })),
      },
      validation_context_sds_secret_config: { name: "ROOTCA", sds_config: sdsConfig },
    },
  };
}

export const exactly = (id: SpiffeId): SanMatcher => ({ exact: id.toString() });
