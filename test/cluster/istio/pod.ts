import { image as shellImage } from "../namespaces.ts";
import { inboundPort } from "./bootstrap.ts";
import { proxyImage } from "./image.ts";

export const proxy = "istio-proxy";
const workloadSocketMount = "/var/run/secrets/workload-spiffe-uds";

/** What the workload-socket volume is: our CSI volume, or an emptyDir as Istio has it. */
const workloadSockets = {
  signet: { csi: { driver: "csi.signet.dev", readOnly: true } },
  istio: { emptyDir: {} },
} as const;

export interface SidecarPod {
  readonly namespace: string;
  readonly name: string;
  readonly workloadSocket: keyof typeof workloadSockets;
  /** Laid over Envoy's configuration, as the annotation sidecar.istio.io/bootstrapOverride has it done. */
  readonly override?: string;
  /** Taken in place of the template in the image. */
  readonly template?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The application's command; it does nothing unless told. */
  readonly command?: readonly string[];
  /** A container that runs before and beside the sidecar, with the workload-socket volume. */
  readonly before?: { readonly image: string; readonly command: readonly string[] };
  readonly discoveryAddress?: string;
}

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

/**
 * A pod as Istio's injection leaves it (manifests/charts/istio-control/istio-discovery/files/injection-template.yaml,
 * template `sidecar`), without the redirection of its traffic. What follows from `workloadSocket` is ours.
 */
export function sidecarPod(pod: SidecarPod): object[] {
  const { namespace, name, workloadSocket, override = "{}", template } = pod;
  const custom = "/etc/istio/custom-bootstrap";
  const discoveryAddress = pod.discoveryAddress ?? "istiod.istio-system.svc:15012";
  const socketMount = { name: "workload-socket", mountPath: workloadSocketMount };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    {
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `${name}-bootstrap`, namespace } },
      data: { "custom_bootstrap.json": override, ...(template === undefined ? {} : { "template.json": template }) },
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels: { app: name, "security.istio.io/tlsMode": "istio" } },
      spec: {
        serviceAccountName: name,
        terminationGracePeriodSeconds: 1,
        initContainers:
          pod.before === undefined
            ? []
            : [
                {
                  ...{ name: "before", imagePullPolicy: "IfNotPresent", restartPolicy: "Always", ...pod.before },
                  volumeMounts: [socketMount],
                },
              ],
        containers: [
          {
            name: "main",
            image: shellImage,
            imagePullPolicy: "IfNotPresent",
            command: pod.command ?? ["sleep", "2147483647"],
          },
          {
            name: proxy,
            image: proxyImage,
            imagePullPolicy: "IfNotPresent",
            args: [
              ...["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
              ...["--proxyLogLevel=warning", "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info"],
            ],
            ports: [{ containerPort: inboundPort }],
            env: [
              { name: "PILOT_CERT_PROVIDER", value: "istiod" },
              { name: "CA_ADDR", value: discoveryAddress },
              field("POD_NAME", "metadata.name"),
              field("POD_NAMESPACE", "metadata.namespace"),
              field("INSTANCE_IP", "status.podIP"),
              field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
              field("HOST_IP", "status.hostIP"),
              { name: "PROXY_CONFIG", value: JSON.stringify({ discoveryAddress }) },
              { name: "ISTIO_META_CLUSTER_ID", value: "Kubernetes" },
              field("ISTIO_META_NODE_NAME", "spec.nodeName"),
              { name: "ISTIO_META_WORKLOAD_NAME", value: name },
              { name: "ISTIO_META_MESH_ID", value: "cluster.local" },
              { name: "TRUST_DOMAIN", value: "cluster.local" },
              { name: "ISTIO_BOOTSTRAP_OVERRIDE", value: `${custom}/custom_bootstrap.json` },
              ...(template === undefined ? [] : [{ name: "ISTIO_BOOTSTRAP", value: `${custom}/template.json` }]),
              ...Object.entries(pod.env ?? {}).map(([key, value]) => ({ name: key, value })),
            ],
            securityContext: {
              ...{ allowPrivilegeEscalation: false, privileged: false, readOnlyRootFilesystem: true },
              ...{ runAsNonRoot: true, runAsUser: 1337, runAsGroup: 1337, capabilities: { drop: ["ALL"] } },
            },
            volumeMounts: [
              socketMount,
              { name: "credential-socket", mountPath: "/var/run/secrets/credential-uds" },
              { name: "workload-certs", mountPath: "/var/run/secrets/workload-spiffe-credentials" },
              { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio" },
              { name: "istio-data", mountPath: "/var/lib/istio/data" },
              { name: "custom-bootstrap-volume", mountPath: custom },
              { name: "istio-envoy", mountPath: "/etc/istio/proxy" },
              { name: "istio-token", mountPath: "/var/run/secrets/tokens" },
              { name: "istio-podinfo", mountPath: "/etc/istio/pod" },
            ],
          },
        ],
        volumes: [
          { name: "workload-socket", ...workloadSockets[workloadSocket] },
          { name: "credential-socket", emptyDir: {} },
          { name: "workload-certs", emptyDir: {} },
          { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert" } },
          { name: "istio-data", emptyDir: {} },
          { name: "custom-bootstrap-volume", configMap: { name: `${name}-bootstrap` } },
          { name: "istio-envoy", emptyDir: { medium: "Memory" } },
          {
            name: "istio-token",
            projected: {
              sources: [
                { serviceAccountToken: { path: "istio-token", expirationSeconds: 43_200, audience: "istio-ca" } },
              ],
            },
          },
          {
            name: "istio-podinfo",
            downwardAPI: {
              items: [
                { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
                { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
              ],
            },
          },
        ],
      },
    },
  ];
}
