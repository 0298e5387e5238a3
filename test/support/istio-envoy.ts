/**
 * What an Envoy is told about its secrets in an Istio mesh of today, in our words. The values are Istio's: the cluster from
 * its bootstrap (tools/packaging/common/envoy_bootstrap.json), the rest as istiod sends it (pkg/model/authentication.go).
 */

/** Where Istio's sidecar finds workload identities; relative to the working directory, which is `/` in its image. */
export const workloadSocketFolder = "var/run/secrets/workload-spiffe-uds";

/** The static cluster that leads to the pod's socket. */
export const sdsGrpcCluster = {
  name: "sds-grpc",
  alt_stat_name: "sds-grpc;",
  type: "STATIC",
  connect_timeout: "1s",
  lb_policy: "ROUND_ROBIN",
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
  load_assignment: {
    cluster_name: "sds-grpc",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: `./${workloadSocketFolder}/socket` } } } }] }],
  },
};

/** For `default` and `ROOTCA` alike: no token, no metadata, and no end of waiting. */
export const istiodSdsConfig = {
  api_config_source: {
    api_type: "GRPC",
    set_node_on_first_message_only: true,
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "sds-grpc" } }],
  },
  resource_api_version: "V3",
  initial_fetch_timeout: "0s",
};

/** For {@link EnvoyIdentity}: secrets from the pod's own socket, as Istio's sidecar takes them. */
export const istioSecrets = { clusters: [sdsGrpcCluster], sdsConfig: istiodSdsConfig };
