import { apply, kubectl, kubectlJson } from "./kubectl.ts";

const managedBy = "app.kubernetes.io/managed-by";
const us = "signet-test";

/** Has a shell's sleep in it; where images cannot be pulled it must be on the node already. */
export const image = process.env.SIGNET_TEST_IMAGE ?? "docker.io/library/pause:local";

/** Makes empty namespaces; what an earlier run left under the same names goes, what is not ours is never touched. */
export async function makeNamespaces(...names: string[]): Promise<void> {
  for (const name of names) {
    const [found] = (
      await kubectlJson<{ items: { metadata: { labels?: Record<string, string> } }[] }>(
        ...["get", "namespaces", "--field-selector", `metadata.name=${name}`],
      )
    ).items;
    if (found !== undefined && found.metadata.labels?.[managedBy] !== us) {
      throw new Error(`the cluster has a namespace ${name} that these tests did not make`);
    }
  }
  await deleteNamespaces(...names);
  await apply(
    ...names.map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: { [managedBy]: us } },
    })),
  );
}

export async function deleteNamespaces(...names: string[]): Promise<void> {
  const ours = ["namespaces", "-l", `${managedBy}=${us}`, "--ignore-not-found", "--wait", "--timeout=120s"];
  // A field selector holds only where all of it does: with two names it would find nothing.
  await Promise.all(names.map((name) => kubectl("delete", ...ours, "--field-selector", `metadata.name=${name}`)));
}

export interface PodPlace {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
}

/** A pod that runs under a service account of its own, where `node` says, else where the scheduler says. */
export async function runPod(namespace: string, serviceAccount: string, node?: string): Promise<PodPlace> {
  const name = serviceAccount;
  await apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: serviceAccount, namespace } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace },
      spec: {
        serviceAccountName: serviceAccount,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        ...(node === undefined ? {} : { nodeName: node }),
        containers: [{ name: "main", image, imagePullPolicy: "IfNotPresent", command: ["sleep", "2147483647"] }],
      },
    },
  );
  await kubectl("wait", "pod", name, "-n", namespace, "--for=condition=Ready", "--timeout=120s");
  const pod = await kubectlJson<{ metadata: { uid: string }; spec: { nodeName: string } }>(
    ...["get", "pod", name, "-n", namespace],
  );
  return { name, uid: pod.metadata.uid, node: pod.spec.nodeName };
}
