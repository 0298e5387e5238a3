import { version } from "../version.ts";
import { type Edit, Editor, injectError, type ManifestDocument, readDocuments } from "./documents.ts";
import { makeNetworkPolicy, networkPolicyName } from "./network-policy.ts";
import type { InjectOptions } from "./options.ts";
import { type Plan, planAll, type Retargets } from "./plan.ts";
import { podEdits } from "./pod.ts";
import { type Inventory, takeInventory } from "./workload.ts";

export interface Injected {
  /** The stream with the sidecars; documents that needed no change are the same bytes. */
  readonly output: string;
  /** Lines for people: what was done, what was assumed. */
  readonly notes: readonly string[];
}

/**
 * Adds the sidecar to every workload of a YAML stream.
 * @throws SignetError `config-invalid` with every fault, each naming document, object, field and what would be right
 */
export function inject(stream: string, options: InjectOptions): Injected {
  const documents = readDocuments(stream);
  const notes: string[] = [];
  const faults: string[] = [];
  const inventory = takeInventory(documents, faults);
  const { plans, retargets } = planAll(inventory, options, notes, faults);
  const edits = new Map<ManifestDocument, Edit[]>();
  const policies = new Map<ManifestDocument, object[]>();
  for (const plan of plans) {
    const { document } = plan.workload;
    push(edits, document, podEdits(plan, options, faults));
    if (options.networkPolicy) push(policies, document, policyOf(plan, inventory, notes, faults));
    notes.push(...tell(plan));
  }
  for (const [document, changes] of serviceEdits(retargets)) push(edits, document, changes);
  if (faults.length > 0) throw injectError(faults);

  const pieces = documents.map((document) => {
    const changes = edits.get(document);
    if (changes === undefined) return document.source;
    const editor = new Editor(
      document,
      changes.map(({ path }) => path),
    );
    if (!editor.keptComments) {
      notes.push(
        `document ${document.number}: its anchors were written out, for they stand where changes were needed; comments are lost`,
      );
    }
    for (const change of changes) editor.make(change);
    for (const policy of policies.get(document) ?? []) {
      if (isList(document)) editor.make({ path: ["items"], last: [policy] });
      else editor.addDocument(policy);
    }
    return editor.toString();
  });
  return { output: pieces.join(""), notes };
}

function policyOf(plan: Plan, inventory: Inventory, notes: string[], faults: string[]): object[] {
  const { workload, inbound } = plan;
  if (inbound.length === 0) return [];
  const policy = makeNetworkPolicy(plan);
  if (policy === undefined) {
    notes.push(`${workload.title}: has no labels to select it by, and so gets no NetworkPolicy`);
    return [];
  }
  const name = networkPolicyName(workload);
  if (inventory.policies.has(`${workload.namespace ?? ""}/${name}`)) {
    faults.push(
      `${workload.title}: the input has a NetworkPolicy ${name} already; rename it, or give --no-network-policy`,
    );
  }
  return [policy];
}

function* serviceEdits(retargets: Retargets): Generator<[ManifestDocument, Edit[]]> {
  for (const [{ document, path }, ports] of retargets) {
    yield [
      document,
      [...ports].map(([index, port]) => ({ path: [...path, "spec", "ports", index, "targetPort"], set: port })),
    ];
  }
}

function tell({ workload, inbound, clients, upstreams }: Plan): string[] {
  const who = clients === undefined ? "anybody of the trust domain" : clients.join(", ");
  const { title, template } = workload;
  const probed = [...template.spec.containers].some(
    ({ readinessProbe, livenessProbe, startupProbe }) =>
      usesNetwork(readinessProbe) || usesNetwork(livenessProbe) || usesNetwork(startupProbe),
  );
  return [
    `${title}: gets the sidecar of version ${version}`,
    ...inbound.map(
      ({ appPort, mtlsPort, protocol }) =>
        `${title}: port ${mtlsPort} admits ${who} and leads to the application on 127.0.0.1:${appPort} (${protocol}), ` +
        "which should listen there and on no other address",
    ),
    ...(probed && inbound.length > 0
      ? [
          `${title}: has probes over the network; the kubelet cannot reach what listens on 127.0.0.1, so make them exec probes`,
        ]
      : []),
    ...upstreams.map(
      ({ title: upstream, server, protocol }) => `${title}: reaches ${upstream} (${protocol}) if it is ${server}`,
    ),
  ];
}

function usesNetwork(probe: unknown): boolean {
  return typeof probe === "object" && probe !== null && !("exec" in probe);
}

function isList({ value }: ManifestDocument): boolean {
  return typeof value === "object" && value !== null && "items" in value;
}

function push<T>(lists: Map<ManifestDocument, T[]>, document: ManifestDocument, items: readonly T[]): void {
  if (items.length > 0) lists.set(document, [...(lists.get(document) ?? []), ...items]);
}
