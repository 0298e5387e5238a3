import { apply, kubectl } from "../kubectl.ts";
import { istiodImage } from "./image.ts";

const managed = { "app.kubernetes.io/managed-by": "signet-test" };
const roleBinding = "signet-test-istiod";
const crd = "sidecars.networking.istio.io";

/** Namespaces that istiod of {@link startIstiod} cares for have this label. */
export const meshLabel = "signet-test-istio=yes";

/**
 * Starts an istiod of its own in a namespace that is there, for pods that do without redirection of their traffic.
 * It knows nothing of Signet; its own CA is what it has by default.
 * @returns its address
 */
export async function startIstiod(namespace: string): Promise<string> {
  const address = `istiod.${namespace}.svc:15012`;
  await apply(
    // Of Istio's kinds only the one with which a pod says on which port it takes requests; its schema is of no interest.
    {
      ...{
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: crd, labels: managed },
      },
      spec: {
        ...{ group: "networking.istio.io", scope: "Namespaced" },
        names: { kind: "Sidecar", listKind: "SidecarList", plural: "sidecars", singular: "sidecar" },
        versions: [
          {
            ...{ name: "v1", served: true, storage: true },
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "istiod", namespace } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: roleBinding, labels: managed },
      // What istiod may do is not what is tested.
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: "istiod", namespace }],
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "istio", namespace },
      data: { mesh: JSON.stringify(meshConfig(namespace, address)), meshNetworks: "networks: {}" },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "istiod", namespace },
      spec: { selector: { app: "istiod" }, ports: [{ name: "https-dns", port: 15_012 }] },
    },
    istiod(namespace),
  );
  await kubectl("wait", "pod/istiod", "-n", namespace, "--for=condition=Ready", "--timeout=180s");
  return address;
}

/** Takes away what {@link startIstiod} made outside of its namespace. */
export async function forgetIstiod(): Promise<void> {
  await kubectl("delete", "clusterrolebinding", roleBinding, "--ignore-not-found");
  await kubectl("delete", "customresourcedefinition", crd, "--ignore-not-found");
}

function meshConfig(namespace: string, discoveryAddress: string): object {
  const [key = "", value] = meshLabel.split("=");
  return {
    trustDomain: "cluster.local",
    rootNamespace: namespace,
    // It writes its root into every namespace that it cares for.
    discoverySelectors: [{ matchLabels: { [key]: value } }],
    // The telemetry filters are in Istio's build of Envoy only, and so are those that the variables below turn off.
    defaultProviders: {},
    enablePrometheusMerge: false,
    defaultConfig: { discoveryAddress },
  };
}

function istiod(namespace: string): object {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const off = (name: string) => ({ name, value: "false" });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "istiod", namespace, labels: { app: "istiod" } },
    spec: {
      serviceAccountName: "istiod",
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          ...{ name: "discovery", image: istiodImage, imagePullPolicy: "IfNotPresent" },
          args: ["discovery", "--domain", "cluster.local"],
          env: [
            { name: "PILOT_CERT_PROVIDER", value: "istiod" },
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
            { name: "CLUSTER_ID", value: "Kubernetes" },
            ...["PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER", "PILOT_ENABLE_TELEMETRY_LABEL"].map(off),
            // No webhooks are installed.
            ...["INJECTION_WEBHOOK_CONFIG_NAME", "VALIDATION_WEBHOOK_CONFIG_NAME"].map((name) => ({ name, value: "" })),
          ],
          readinessProbe: { httpGet: { path: "/ready", port: 8080 }, periodSeconds: 1 },
          volumeMounts: [
            { name: "local-certs", mountPath: "/var/run/secrets/istio-dns" },
            { name: "config-volume", mountPath: "/etc/istio/config" },
          ],
        },
      ],
      volumes: [
        { name: "local-certs", emptyDir: { medium: "Memory" } },
        { name: "config-volume", configMap: { name: "istio" } },
      ],
    },
  };
}
