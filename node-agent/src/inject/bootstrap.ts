import { stringify } from "yaml";
import type { InjectOptions } from "./options.ts";
import type { InboundPort, LocalUpstream, Plan } from "./plan.ts";
import { adminPort, readinessPort } from "./ports.ts";
import { exactly, identitySource, tlsContext } from "./sds.ts";

const api = "type.googleapis.com/envoy";
const httpManager = `${api}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const httpOptions = `${api}.extensions.upstreams.http.v3.HttpProtocolOptions`;

/** The whole configuration of a sidecar, as YAML text. */
export function makeBootstrap(plan: Plan, options: InjectOptions): string {
  return stringify(bootstrapOf(plan, options), { lineWidth: 0, version: "1.1", anchorPrefix: "same" });
}

function bootstrapOf({ inbound, clients, upstreams }: Plan, options: InjectOptions): object {
  const { sdsConfig, clusters } = identitySource(options);
  const accepted = clients?.map(exactly) ?? [{ prefix: `${options.trustDomain.id}/` }];
  return {
    admin: { address: socketAddress("127.0.0.1", adminPort) },
    static_resources: {
      listeners: [
        ...inbound.map((port) =>
          inboundListener(port, tlsContext(sdsConfig, accepted, port.protocol === "tcp" ? [] : alpn)),
        ),
        ...upstreams.map(outboundListener),
        readinessListener,
      ],
      clusters: [
        ...inbound.map(appCluster),
        ...upstreams.map((upstream) => upstreamCluster(upstream, sdsConfig, options)),
        adminCluster,
        ...clusters,
      ],
    },
  };
}

// What the client's sidecar uses when both sides know HTTP; a server of plain TCP names none.
const alpn = ["h2", "http/1.1"];

function inboundListener({ protocol, appPort, mtlsPort }: InboundPort, commonTls: object): object {
  const name = `inbound-${appPort}`;
  const filter =
    protocol === "tcp"
      ? tcpProxy(name, name)
      : httpProxy(name, routesTo(name, "refused-stream", { num_retries: 2 }), {
          // The application learns who called in x-forwarded-client-cert, and nobody else can write that header.
          forward_client_cert_details: "SANITIZE_SET",
          set_current_client_cert_details: { uri: true },
          http2_protocol_options: { allow_connect: true },
          local_reply_config: { mappers: [tellNotSent] },
        });
  return listener(name, "0.0.0.0", mtlsPort, [filter], {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${api}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: commonTls,
    },
  });
}

// An application that is about to end has closed its port before the pod is out of the Service. Its sidecar says that the
// request never got there, and the client's sidecar tries again, elsewhere by then.
const notSent = "x-signet-not-sent";
const connectionFailed = "UF";
const tellNotSent = {
  filter: { response_flag_filter: { flags: [connectionFailed] } },
  headers_to_add: [{ header: { key: notSent, value: "true" } }],
};

function appCluster({ protocol, appPort }: InboundPort): object {
  const name = `inbound-${appPort}`;
  const http = {
    "@type": httpOptions,
    // Shorter than any server keeps a connection: a request never meets one that is being closed.
    common_http_protocol_options: { idle_timeout: "1s" },
    explicit_http_config:
      protocol === "http2" ? { http2_protocol_options: { allow_connect: true } } : { http_protocol_options: {} },
  };
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    circuit_breakers: unlimited,
    ...(protocol === "tcp" ? {} : { typed_extension_protocol_options: extension(http) }),
    load_assignment: assignment(name, "127.0.0.1", appPort),
  };
}

function outboundListener({ protocol, host, port, address }: LocalUpstream): object {
  const name = `outbound-${host}-${port}`;
  if (protocol === "tcp") {
    const patient = { max_connect_attempts: attempts, backoff_options: backOff };
    return listener(name, address, port, [tcpProxy(name, name, patient)]);
  }
  const routes = routesTo(name, "connect-failure,refused-stream,reset-before-request,retriable-headers", {
    retriable_headers: [{ name: notSent, present_match: true }],
    num_retries: attempts,
    retry_back_off: backOff,
  });
  return listener(name, address, port, [httpProxy(name, routes, {}, { response_headers_to_remove: [notSent] })]);
}

/** All requests to one cluster, made again for `reasons` that say that they never arrived. */
function routesTo(cluster: string, reasons: string, policy: object): object[] {
  const route = (retryOn: string) => ({ cluster, timeout: "0s", retry_policy: { retry_on: retryOn, ...policy } });
  return [
    // A request that changes nothing can be made again even when nobody knows how far it came.
    {
      match: { prefix: "/", headers: [methodIs({ safe_regex: { regex: "GET|HEAD|OPTIONS" } })] },
      route: route(`${reasons},reset`),
    },
    { match: { prefix: "/" }, route: route(reasons) },
  ];
}

// About five seconds in all, so that a sidecar that starts again on the other side is not noticed.
const attempts = 10;
const backOff = { base_interval: "0.05s", max_interval: "1s" };

function upstreamCluster(
  { protocol, host, port, server }: LocalUpstream,
  sdsConfig: object,
  { clusterDomain, connectionAgeSeconds }: InjectOptions,
): object {
  const name = `outbound-${host}-${port}`;
  const http = {
    "@type": httpOptions,
    // A connection outlives the certificates that it was made with; on a new one both sides prove themselves again.
    common_http_protocol_options: { max_connection_duration: `${connectionAgeSeconds}s` },
    auto_config: {
      http_protocol_options: {},
      http2_protocol_options: { allow_connect: true, connection_keepalive: { interval: "30s", timeout: "10s" } },
    },
  };
  return {
    name,
    type: "STRICT_DNS",
    dns_lookup_family: "V4_PREFERRED",
    connect_timeout: "5s",
    circuit_breakers: unlimited,
    upstream_connection_options: { tcp_keepalive: { keepalive_time: 30, keepalive_interval: 10, keepalive_probes: 3 } },
    ...(protocol === "tcp" ? {} : { typed_extension_protocol_options: extension(http) }),
    // The whole name with its last dot: without it, the name leads back here by the pod's /etc/hosts.
    load_assignment: assignment(name, `${host}.svc.${clusterDomain}.`, port),
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": `${api}.extensions.transport_sockets.tls.v3.UpstreamTlsContext`,
        // Where the server is, DNS says; who it must be, only this.
        common_tls_context: tlsContext(sdsConfig, [exactly(server)], []),
      },
    },
  };
}

const readinessListener = listener("readiness", "0.0.0.0", readinessPort, [
  httpProxy(
    "readiness",
    [
      {
        match: { path: "/healthz/ready", headers: [methodIs({ exact: "GET" })] },
        route: { cluster: "admin", prefix_rewrite: "/ready" },
      },
    ],
    {},
  ),
]);

const adminCluster = {
  name: "admin",
  type: "STATIC",
  connect_timeout: "1s",
  load_assignment: assignment("admin", "127.0.0.1", adminPort),
};

function listener(name: string, address: string, port: number, filters: readonly object[], tls?: object): object {
  return {
    name,
    address: socketAddress(address, port),
    filter_chains: [{ filters, ...(tls === undefined ? {} : { transport_socket: tls }) }],
  };
}

/** HTTP handed on as it came: no limits of time and no headers of Envoy's own. */
function httpProxy(name: string, routes: readonly object[], more: object, host: object = {}): object {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": httpManager,
      stat_prefix: name,
      ...more,
      stream_idle_timeout: "0s",
      generate_request_id: false,
      server_header_transformation: "PASS_THROUGH",
      http_protocol_options: { accept_http_10: true },
      upgrade_configs: [{ upgrade_type: "websocket" }],
      route_config: { virtual_hosts: [{ name, domains: ["*"], routes, ...host }] },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": `${api}.extensions.filters.http.router.v3.Router`, suppress_envoy_headers: true },
        },
      ],
    },
  };
}

function tcpProxy(name: string, cluster: string, more: object = {}): object {
  return {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: {
      "@type": `${api}.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: name,
      cluster,
      idle_timeout: "0s",
      ...more,
    },
  };
}

const extension = (options: object) => ({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options });

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function assignment(cluster: string, address: string, port: number): object {
  return {
    cluster_name: cluster,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(address, port) } }] }],
  };
}

// Envoy's own limits (1,024 connections, 3 retries at once) would refuse requests that the application can take.
const many = 4_294_967_295;
const unlimited = {
  thresholds: [{ max_connections: many, max_pending_requests: many, max_requests: many, max_retries: many }],
};

function methodIs(match: object): object {
  return { name: ":method", string_match: match };
}
