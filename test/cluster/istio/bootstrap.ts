/**
 * The Envoy configuration of the pods that run Istio's agent.
 *
 * Istio's: the agent that renders the template and starts Envoy with it, what istiod sends, and the values in
 * support/istio-envoy.ts. Ours: the template, which has of Istio's own (tools/packaging/common/envoy_bootstrap.json) what
 * identities and istiod need, and, where there is no istiod, a listener and a cluster in place of those that it would send.
 */
import { readFile } from "node:fs/promises";
import { istiodSdsConfig, sdsGrpcCluster, workloadSocketFolder } from "../../support/istio-envoy.ts";

export const inboundPort = 15_006;
export const outboundPort = 15_001;

/**
 * A Go template that pilot-agent fills in. SIGNET_TEST_ISTIO_BOOTSTRAP names a file to take instead, so that the same tests
 * run with Istio's own.
 */
export async function meshTemplate(): Promise<string> {
  const told = process.env.SIGNET_TEST_ISTIO_BOOTSTRAP;
  if (told !== undefined && told !== "") return await readFile(told, "utf8");
  const fromIstiod = { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" };
  return asTemplate({
    dynamic_resources: {
      lds_config: fromIstiod,
      cds_config: fromIstiod,
      ads_config: {
        ...{ api_type: "{{ .xds_type }}", set_node_on_first_message_only: true, transport_api_version: "V3" },
        grpc_services: [{ envoy_grpc: { cluster_name: "xds-grpc" } }],
      },
    },
    static_resources: {
      clusters: [
        sdsGrpcCluster,
        // pilot-agent, which passes everything on to istiod.
        {
          ...sdsGrpcCluster,
          ...{ name: "xds-grpc", alt_stat_name: "xds-grpc;" },
          load_assignment: pipe("xds-grpc", "{{ .config.ConfigPath }}/XDS"),
        },
      ],
    },
  });
}

/** The same without istiod: an Envoy whose listeners are to come from there would wait for it for ever. */
export const lonelyTemplate = asTemplate({ static_resources: { clusters: [sdsGrpcCluster] } });

function asTemplate(rest: object): string {
  const whole = {
    node: { id: "{{ .nodeID }}", cluster: "{{ .cluster }}", metadata: "{{ .meta_json_str }}" },
    admin: { address: address("{{ .localhost }}", 15_000) },
    ...rest,
  };
  return JSON.stringify(whole, null, 2)
    .replace('"{{ .meta_json_str }}"', "{{ .meta_json_str }}")
    .replace(`./${workloadSocketFolder}/socket`, `./${workloadSocketFolder}/{{ .workload_identity_socket_file }}`);
}

/** Laid over the bootstrap by pilot-agent, which hands it to Envoy as it is. */
export function override(peers: { readonly upstream: string; readonly identities: readonly string[] }): string {
  const tls = {
    tls_certificate_sds_secret_configs: [{ name: "default", sds_config: istiodSdsConfig }],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: peers.identities.map((exact) => ({ san_type: "URI", matcher: { exact } })),
      },
      validation_context_sds_secret_config: { name: "ROOTCA", sds_config: istiodSdsConfig },
    },
  };
  const { context, socket } = transport;
  return JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: "inbound",
          address: address("0.0.0.0", inboundPort),
          filter_chains: [
            {
              // Answers by itself, and tells whom it took the caller for.
              filters: [
                http("inbound", { direct_response: { status: 200, body: { inline_string: "hello\n" } } }, caller),
              ],
              transport_socket: socket(context.downstream, {
                common_tls_context: tls,
                require_client_certificate: true,
              }),
            },
          ],
        },
        {
          name: "outbound",
          address: address("127.0.0.1", outboundPort),
          filter_chains: [{ filters: [http("outbound", { route: { cluster: "outbound" } }, [])] }],
        },
      ],
      clusters: [
        {
          ...{ name: "outbound", type: "STRICT_DNS", connect_timeout: "5s" },
          load_assignment: {
            cluster_name: "outbound",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(peers.upstream, inboundPort) } }] }],
          },
          transport_socket: socket(context.upstream, { common_tls_context: tls, max_session_keys: 0 }),
        },
      ],
    },
  });
}

const tlsTypes = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
const transport = {
  context: { downstream: `${tlsTypes}.DownstreamTlsContext`, upstream: `${tlsTypes}.UpstreamTlsContext` },
  socket: (type: string, context: object) => ({
    name: "envoy.transport_sockets.tls",
    typed_config: { "@type": type, ...context },
  }),
};

const caller = [{ header: { key: "caller", value: "%DOWNSTREAM_PEER_URI_SAN%" } }];

function http(name: string, action: object, response_headers_to_add: readonly object[]) {
  const filters = "type.googleapis.com/envoy.extensions.filters";
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: name,
      route_config: {
        response_headers_to_add,
        virtual_hosts: [{ name, domains: ["*"], routes: [{ match: { prefix: "/" }, ...action }] }],
      },
      http_filters: [
        { name: "envoy.filters.http.router", typed_config: { "@type": `${filters}.http.router.v3.Router` } },
      ],
    },
  };
}

function pipe(cluster_name: string, path: string) {
  return { cluster_name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }] };
}

function address(host: string, port: number) {
  return { socket_address: { address: host, port_value: port } };
}
