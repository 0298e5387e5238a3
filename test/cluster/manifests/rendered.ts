/** Manifests as objects, and what the API server says to them. */
import { parseAllDocuments } from "yaml";
import { runToEnd } from "../../support/processes.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string }[];
  readonly volumeMounts?: readonly unknown[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly [field: string]: unknown;
}

/** As much of a manifest as the tests look at. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly Rule[];
  readonly spec?: { readonly template?: { readonly spec: PodSpec }; readonly [field: string]: unknown };
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The only one of its kind and name. @throws Error when there is none, or more */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const [found, ...more] = manifests.filter((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined || more.length > 0) throw new Error(`${found ? "more than one" : "no"} ${kind} ${name}`);
  return found;
}

/**
 * Has the API server check the manifests as if they were applied, unknown and doubled fields included.
 * @param namespace takes the place of each object's own, which need not be there
 * @returns its warnings
 * @throws Error with what it refuses
 */
export async function dryRun(manifests: readonly Manifest[], namespace: string): Promise<string> {
  const items = manifests
    // These kinds are the Prometheus operator's; a namespace's own is the one thing that is not in a namespace of ours.
    .filter(({ apiVersion, kind }) => apiVersion !== "monitoring.coreos.com/v1" && kind !== "Namespace")
    .map((one) => (one.metadata.namespace === undefined ? one : { ...one, metadata: { ...one.metadata, namespace } }));
  const list = { apiVersion: "v1", kind: "List", items };
  const { stderr } = await runToEnd(
    "kubectl",
    // On the server's side and under a name of its own, so that what is installed right now is no hindrance.
    [
      ...["apply", "--server-side", "--force-conflicts", "--field-manager=signet-test"],
      ...["--dry-run=server", "--validate=strict", "-f", "-"],
    ],
    { input: JSON.stringify(list) },
  );
  return stderr;
}
