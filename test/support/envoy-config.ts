import { trustDomain } from "./ca-config.ts";

/** Istio 1.2 to 1.4, Istio 1.1 (its spelling), and what Envoy sends without a header_key. */
export const tokenHeaders = [
  "istio_sds_credentials_header-bin",
  "istio_sds_credentail_header-bin",
  "authorization",
] as const;
export type TokenHeader = (typeof tokenHeaders)[number];

export function spiffeIdOf(namespace: string, serviceAccount: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** An agent's shared socket, where a token says who asks. */
interface TokenSecrets {
  readonly socket: string;
  readonly tokenFile: string;
  readonly tokenHeader: TokenHeader;
  readonly apiType?: SdsApiType;
}

/** State of the world, or incremental. */
export type SdsApiType = "GRPC" | "DELTA_GRPC";

/** Any other source: what sds_config says, and the clusters that it names. */
interface OtherSecrets {
  readonly secrets: { readonly sdsConfig: object; readonly clusters: readonly object[] };
}

export type EnvoyIdentity = {
  /** Envoy's own names for itself. */
  readonly nodeId: string;
  readonly nodeCluster: string;
  readonly nodeMetadata?: object;
  readonly adminPort: number;
} & (TokenSecrets | OtherSecrets);

export interface Upstream {
  readonly name: string;
  /** Plaintext port that the application calls. */
  readonly listenPort: number;
  readonly targetPort: number;
  /** The one identity that the other side may have. */
  readonly spiffeId: string;
}

/** An Envoy beside a client: takes plaintext on loopback, speaks mutual TLS to its upstreams. */
export function clientBootstrap(envoy: EnvoyIdentity, upstreams: readonly Upstream[]) {
  return {
    ...common(envoy),
    static_resources: {
      listeners: upstreams.map((upstream) => ({
        name: `outbound_${upstream.name}`,
        address: loopback(upstream.listenPort),
        filter_chains: [{ filters: [httpFilter(`outbound_${upstream.name}`, upstream.name, {})] }],
      })),
      clusters: [
        ...clustersOf(envoy),
        ...upstreams.map((upstream) => ({
          ...cluster(upstream.name, upstream.targetPort),
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              // Few requests to a connection: handshakes go on all the time, and so does the use of new certificates.
              common_http_protocol_options: { max_requests_per_connection: 20 },
              explicit_http_config: { http_protocol_options: {} },
            },
          },
          transport_socket: {
            name: "envoy.transport_sockets.tls",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
              common_tls_context: tlsContext(envoy, [upstream.spiffeId]),
              // No resumption: each connection shows and checks a certificate.
              max_session_keys: 0,
            },
          },
        })),
      ],
    },
  };
}

/** An Envoy beside a server: takes mutual TLS from the given identities only, speaks plaintext to its application. */
export function serverBootstrap(
  envoy: EnvoyIdentity,
  server: { readonly listenPort: number; readonly backendPort: number; readonly clients: readonly string[] },
) {
  return {
    ...common(envoy),
    static_resources: {
      listeners: [
        {
          name: "inbound",
          address: loopback(server.listenPort),
          filter_chains: [
            {
              filters: [
                httpFilter("inbound", "application", {
                  // The application sees who called, as Envoy read it from the certificate.
                  forward_client_cert_details: "SANITIZE_SET",
                  set_current_client_cert_details: { uri: true },
                }),
              ],
              transport_socket: {
                name: "envoy.transport_sockets.tls",
                typed_config: {
                  "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                  common_tls_context: tlsContext(envoy, server.clients),
                  require_client_certificate: true,
                },
              },
            },
          ],
        },
      ],
      clusters: [...clustersOf(envoy), cluster("application", server.backendPort)],
    },
  };
}

function common(envoy: EnvoyIdentity) {
  return {
    node: { id: envoy.nodeId, cluster: envoy.nodeCluster, metadata: envoy.nodeMetadata ?? {} },
    admin: { address: loopback(envoy.adminPort) },
  };
}

function tlsContext(envoy: EnvoyIdentity, peers: readonly string[]) {
  const sds_config = "secrets" in envoy ? envoy.secrets.sdsConfig : sdsConfig(envoy);
  return {
    tls_certificate_sds_secret_configs: [{ name: "default", sds_config }],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: peers.map((peer) => ({ san_type: "URI", matcher: { exact: peer } })),
      },
      validation_context_sds_secret_config: { name: "ROOTCA", sds_config },
    },
  };
}

function clustersOf(envoy: EnvoyIdentity): readonly object[] {
  return "secrets" in envoy ? envoy.secrets.clusters : [];
}

const credentials = "envoy.grpc_credentials.file_based_metadata";

/** What Istio 1.1's pilot writes, in the v3 API; the same bytes each time, or Envoy would open more streams. */
function sdsConfig({ socket, tokenFile, tokenHeader, apiType = "GRPC" }: TokenSecrets) {
  return {
    resource_api_version: "V3",
    // Without an identity there is no port that could answer.
    initial_fetch_timeout: "0s",
    api_config_source: {
      api_type: apiType,
      transport_api_version: "V3",
      grpc_services: [
        {
          google_grpc: {
            target_uri: `unix:${socket}`,
            stat_prefix: "sdsstat",
            channel_credentials: { local_credentials: {} },
            credentials_factory_name: credentials,
            call_credentials: [
              {
                from_plugin: {
                  name: credentials,
                  typed_config: {
                    "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
                    secret_data: { filename: tokenFile },
                    header_key: tokenHeader,
                  },
                },
              },
            ],
          },
        },
      ],
    },
  };
}

function httpFilter(name: string, target: string, more: Readonly<Record<string, unknown>>) {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: name,
      ...more,
      route_config: {
        virtual_hosts: [{ name, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: target } }] }],
      },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
    },
  };
}

function cluster(name: string, port: number) {
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }],
    },
  };
}

function loopback(port: number) {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
