import { apply, kubectl } from "./kubectl.ts";
import { image } from "./namespaces.ts";

const name = "signet-test-look";
// Here no policy on hostPath volumes is in the way.
const namespace = "kube-system";

const places = [
  "run/sds",
  "var/lib/kubelet/plugins/csi.signet.dev",
  "var/lib/kubelet/plugins_registry/csi.signet.dev-reg.sock",
];

/**
 * What there is of Signet on the node: paths of its directories and sockets, and of pods' volumes. Looked at by a pod, so
 * that it works wherever the node is.
 */
export async function leftOnNode(node?: string): Promise<string[]> {
  const find =
    `for place in ${places.join(" ")}; do [ -e /host/$place ] && echo /$place; ls -A /host/$place 2>/dev/null; done; ` +
    "ls -d /host/var/lib/kubelet/pods/*/volumes/kubernetes.io~csi/*/mount/socket 2>/dev/null; echo looked";
  await kubectl("delete", "pod", name, "-n", namespace, "--ignore-not-found", "--wait");
  await apply({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      tolerations: [{ operator: "Exists" }],
      ...(node === undefined ? {} : { nodeName: node }),
      containers: [
        {
          ...{ name: "look", image, imagePullPolicy: "IfNotPresent", command: ["sh", "-c", find] },
          volumeMounts: [{ name: "host", mountPath: "/host", readOnly: true }],
        },
      ],
      volumes: [{ name: "host", hostPath: { path: "/" } }],
    },
  });
  try {
    await kubectl("wait", `pod/${name}`, "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s");
    const lines = (await kubectl("logs", name, "-n", namespace)).split("\n").filter(Boolean);
    if (lines.pop() !== "looked") throw new Error("the pod could not look at the node");
    return lines.map((line) => line.replace(/^\/host/, ""));
  } finally {
    await kubectl("delete", "pod", name, "-n", namespace, "--wait=false");
  }
}
