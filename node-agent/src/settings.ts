import { defaultAccountPath } from "@signet/shared/account-path";

/** One setting of the agent, by its key in the configuration file. Flag and variable follow from the key. */
export interface SettingText {
  readonly flag: string;
  readonly env: string;
  /** What a value looks like. */
  readonly hint: string;
  readonly help: string;
  readonly fallback?: string;
  readonly required?: true;
}

type Text = Omit<SettingText, "flag" | "env">;

const texts = {
  caUrl: {
    hint: "<url,...>",
    help: "the CA, https://...; more URLs of the same CA after commas, the preferred first; plain http only to a loopback address (required)",
    required: true,
  },
  caCert: { hint: "<file>", help: "PEM of the CA certificates that may vouch for the CA's https server" },
  trustDomain: {
    hint: "<name>",
    help: "trust domain of the workloads, such as cluster.local (required)",
    required: true,
  },
  accountPath: {
    hint: "<path>",
    help: "path of service accounts' SPIFFE IDs, as the CA has it for this cluster's issuer",
    fallback: defaultAccountPath,
  },
  socket: {
    hint: "<path>",
    help: 'Unix socket that the pods of the node share, or "off"; its directory must exist',
    fallback: "/var/run/sds/uds_path",
  },
  socketMode: { hint: "<octal>", help: "mode of the socket", fallback: "0666" },
  nodeToken: { hint: "<file>", help: "the agent's own service-account token; read again when it changes" },
  admin: {
    hint: "<host:port>",
    help: 'address of the page to look at, /metrics, /healthz, /readyz, /v1/status and /v1/workloads, or "off"',
    fallback: "127.0.0.1:15021",
  },
  telemetry: {
    hint: "<host:port>",
    help: 'address of /healthz, /readyz and /metrics alone, for the kubelet and Prometheus, or "off"',
    fallback: "off",
  },
  logLevel: { hint: "<level>", help: "debug, info, warn or error", fallback: "info" },
  svidName: { hint: "<name>", help: "resource name of the workload's key and certificate", fallback: "default" },
  bundleName: { hint: "<name>", help: "resource name of the trust bundle", fallback: "ROOTCA" },
  allBundlesName: { hint: "<name>", help: "resource name of all trust bundles", fallback: "ALL" },
  validator: {
    hint: "<form>",
    help: "how bundles are given to Envoys that do not ask for a form: trusted-ca, or spiffe for Envoy's SPIFFE validator",
    fallback: "trusted-ca",
  },
  ttl: { hint: "<duration>", help: "wished life of certificates, such as 1h or 30m; the CA may shorten it" },
  csiSocket: {
    hint: "<path>",
    help: 'socket on which the kubelet asks for volumes with a socket for each pod, or "off"',
    fallback: "off",
  },
  csiEndpoint: { hint: "<path>", help: "where the kubelet finds the CSI socket (default: as csiSocket)" },
  kubeletDir: {
    hint: "<path>",
    help: "the kubelet's directory, the same for it and for the agent",
    fallback: "/var/lib/kubelet",
  },
  nodeName: { hint: "<name>", help: "name of this node in the cluster; needed with csiSocket" },
} as const satisfies Record<string, Text>;

export type SettingKey = keyof typeof texts;

const words = (key: string, between: string) => key.replace(/[A-Z]/g, (letter) => between + letter.toLowerCase());

export const settingKeys = Object.keys(texts) as SettingKey[];

export const settings = Object.fromEntries(
  settingKeys.map((key) => [
    key,
    { ...texts[key], flag: `--${words(key, "-")}`, env: `SIGNET_${words(key, "_").toUpperCase()}` },
  ]),
) as Record<SettingKey, SettingText>;
