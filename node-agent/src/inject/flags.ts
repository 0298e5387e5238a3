import { defaultAccountPath } from "@signet/shared/account-path";
import type { Command } from "commander";

/** The command line of `inject`, as given. */
export interface InjectFlags {
  readonly file: string;
  readonly identity?: string;
  readonly sidecar?: string;
  readonly proxyImage?: string;
  readonly trustDomain?: string;
  readonly accountPath?: string;
  readonly clusterDomain?: string;
  readonly namespace?: string;
  readonly upstreams?: string;
  readonly audience?: string;
  readonly connectionAge?: string;
  readonly networkPolicy?: boolean;
}

export const defaults = {
  identity: "csi",
  sidecar: "native",
  proxyImage: "docker.io/envoyproxy/envoy:v1.40-latest",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  audience: "signet-ca",
  connectionAge: "1h",
} as const;

const explanation = `
Examples:
  signet-agent inject -f app.yaml | kubectl apply -n shop -f -
  kubectl get service,deployment cart -n shop -o yaml | signet-agent inject -f - | kubectl apply -f -
  signet-agent inject -f app.yaml --upstreams "http://stock.shop:8000=shop/stock, orders.shop:5432=shop/orders-db"

Reads YAML or JSON, writes the same with an Envoy beside each Pod, Deployment, DaemonSet, StatefulSet, ReplicaSet,
ReplicationController, Job and CronJob, also inside Lists. What needs no change is written as it was, byte for byte.

Into a workload: a Service of the input that selects it is sent to the sidecar's port (15006 and up), which admits only
clients with an identity and hands on to the application on 127.0.0.1. Give a workload and its Services together. Let
the application listen on 127.0.0.1; until it does, the NetworkPolicy that is added keeps the way past the sidecar shut
where the cluster enforces such policies.
Out of a workload: name its upstreams. Each name then leads to the sidecar, which speaks mutual TLS and accepts nobody
but the named server. Ports are explicit: no iptables, no NET_ADMIN, no init container, any protocol over TCP.
A connection outlives the certificates that it was made with; after --connection-age requests go over a new one.

Annotations of the pod template (of the Pod itself, or of the workload):
  signet.dev/inject: "false"                     leaves the workload alone
  signet.dev/clients: "foo/sleep, bar/sleep"     admits these service accounts only; else the whole trust domain
  signet.dev/upstreams: "http://httpbin.foo:8000=foo/httpbin, db.foo:5432=foo/db"
                                                 host, port, and the server's service account; http:// (gRPC and
                                                 WebSockets too) tries again when a connection fails, else plain TCP

What was done and assumed is told on standard error.

Exit codes:
  0   written; running it again changes nothing
  2   the command line or the input is wrong; every fault is listed, nothing is written
  1   anything else
`;

/** Adds the command to the program; `action` gets what was given. */
export function addInjectCommand(program: Command, action: (flags: InjectFlags) => void): void {
  program
    .command("inject")
    .description("add the sidecar to workloads: reads YAML, writes YAML")
    .requiredOption("-f, --file <file>", "YAML or JSON to read; - is standard input")
    .option("-n, --namespace <name>", "namespace of objects that name none; only bare upstream names need it")
    .option("--upstreams <list>", "upstreams of workloads that have no annotation signet.dev/upstreams")
    .option("--identity <way>", `csi: own socket, no token; token: the node's socket (default: ${defaults.identity})`)
    .option("--sidecar <kind>", `native, or container before Kubernetes 1.29 (default: ${defaults.sidecar})`)
    .option("--trust-domain <name>", `trust domain of the workloads (default: ${defaults.trustDomain})`)
    .option("--account-path <path>", `path of service accounts' SPIFFE IDs (default: ${defaultAccountPath})`)
    .option("--cluster-domain <name>", `domain of the cluster's Services (default: ${defaults.clusterDomain})`)
    .option("--audience <name>", `audience of the token, with --identity token (default: ${defaults.audience})`)
    .option(
      "--connection-age <duration>",
      `longest life of a connection to an http:// upstream (default: ${defaults.connectionAge})`,
    )
    .option("--proxy-image <image>", `Envoy to run (default: ${defaults.proxyImage})`)
    .option("--no-network-policy", "add no NetworkPolicy")
    .addHelpText("after", explanation)
    .action((flags: InjectFlags) => action(flags));
}
