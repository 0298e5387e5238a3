import { describeIssues } from "@signet/shared/faults";
import * as v from "valibot";
import type { ManifestDocument, Path } from "./documents.ts";

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const texts = v.nullish(v.record(v.string(), v.string()));
const metadataSchema = v.nullish(
  v.looseObject({
    name: v.nullish(v.string()),
    generateName: v.nullish(v.string()),
    namespace: v.nullish(v.string()),
    annotations: texts,
  }),
);
const containerSchema = v.looseObject({
  name: v.string(),
  ports: v.nullish(
    v.array(v.looseObject({ name: v.nullish(v.string()), containerPort: port, protocol: v.nullish(v.string()) })),
  ),
  readinessProbe: v.optional(v.unknown()),
  livenessProbe: v.optional(v.unknown()),
  startupProbe: v.optional(v.unknown()),
});
const templateSchema = v.looseObject({
  metadata: v.nullish(v.looseObject({ labels: texts, annotations: texts })),
  spec: v.looseObject({
    hostNetwork: v.nullish(v.boolean()),
    os: v.nullish(v.looseObject({ name: v.nullish(v.string()) })),
    restartPolicy: v.nullish(v.string()),
    serviceAccountName: v.nullish(v.string()),
    serviceAccount: v.nullish(v.string()),
    containers: v.pipe(v.array(containerSchema), v.minLength(1)),
    initContainers: v.nullish(v.array(containerSchema)),
    volumes: v.nullish(v.array(v.looseObject({ name: v.string() }))),
    hostAliases: v.nullish(v.array(v.looseObject({ ip: v.string(), hostnames: v.nullish(v.array(v.string())) }))),
    securityContext: v.nullish(
      v.looseObject({
        sysctls: v.nullish(v.array(v.looseObject({ name: v.string(), value: v.string() }))),
      }),
    ),
  }),
});
export type PodTemplate = v.InferOutput<typeof templateSchema>;

const serviceSchema = v.looseObject({
  type: v.nullish(v.string()),
  clusterIP: v.nullish(v.string()),
  selector: texts,
  ports: v.nullish(
    v.array(
      v.looseObject({
        name: v.nullish(v.string()),
        port,
        targetPort: v.nullish(v.union([port, v.string()])),
        protocol: v.nullish(v.string()),
        appProtocol: v.nullish(v.string()),
      }),
    ),
  ),
});

/** An object of the stream, wherever it stands: a document of its own or an item of a List. */
interface Located {
  readonly document: ManifestDocument;
  /** Where in the document. */
  readonly path: Path;
  /** For messages: `document 2, Deployment/httpbin`. */
  readonly title: string;
  readonly kind: string;
  readonly name: string | undefined;
  readonly generateName: string | undefined;
  readonly namespace: string | undefined;
}

export interface Workload extends Located {
  /** Where in the object: of the pod's metadata and spec. */
  readonly templatePath: Path;
  readonly annotations: Readonly<Record<string, string>>;
  readonly template: PodTemplate;
}

export interface Service extends Located {
  readonly spec: v.InferOutput<typeof serviceSchema>;
}

export interface Inventory {
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  /** `namespace/name` of the NetworkPolicies. */
  readonly policies: ReadonlySet<string>;
}

const inTemplate: Path = ["spec", "template"];
/** By kind: the API group and where the pod is in the object. */
const workloadKinds: Readonly<Record<string, { readonly group: string; readonly pod: Path }>> = {
  Pod: { group: "", pod: [] },
  ReplicationController: { group: "", pod: inTemplate },
  Deployment: { group: "apps", pod: inTemplate },
  DaemonSet: { group: "apps", pod: inTemplate },
  StatefulSet: { group: "apps", pod: inTemplate },
  ReplicaSet: { group: "apps", pod: inTemplate },
  Job: { group: "batch", pod: inTemplate },
  CronJob: { group: "batch", pod: ["spec", "jobTemplate", "spec", "template"] },
};

/** Finds what matters for sidecars; everything else is passed over. Faults are told with document, object and field. */
export function takeInventory(documents: readonly ManifestDocument[], faults: string[]): Inventory {
  const workloads: Workload[] = [];
  const services: Service[] = [];
  const policies = new Set<string>();
  for (const document of documents) {
    for (const { path, object } of objectsIn(document.value, [])) {
      const { kind, apiVersion } = object;
      if (typeof kind !== "string" || typeof apiVersion !== "string") continue;
      const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
      const workload = Object.hasOwn(workloadKinds, kind) ? workloadKinds[kind] : undefined;
      const isService = kind === "Service" && group === "";
      const isPolicy = kind === "NetworkPolicy";
      if (workload?.group !== group && !isService && !isPolicy) continue;

      const metadata = check(metadataSchema, object.metadata, `document ${document.number}, ${kind}: metadata`, faults);
      if (metadata === failed) continue;
      const name = metadata?.name ?? undefined;
      const generateName = metadata?.generateName ?? undefined;
      const title = `document ${document.number}, ${kind}/${name ?? generateName ?? "(no name)"}`;
      const namespace = metadata?.namespace ?? undefined;
      const located = { document, path, title, kind, name, generateName, namespace };
      if (isPolicy) policies.add(`${namespace ?? ""}/${name}`);
      else if (isService) {
        const spec = check(serviceSchema, object.spec, `${title}: spec`, faults);
        if (spec !== failed) services.push({ ...located, spec });
      } else if (workload !== undefined) {
        const pod = workload.pod.length === 0 ? object : at(object, workload.pod);
        const where = workload.pod.length === 0 ? "the pod" : workload.pod.join(".");
        const template = check(templateSchema, pod, `${title}: ${where}`, faults);
        if (template === failed) continue;
        workloads.push({
          ...located,
          templatePath: workload.pod,
          annotations: { ...metadata?.annotations, ...template.metadata?.annotations },
          template,
        });
      }
    }
  }
  return { workloads, services, policies };
}

const failed = Symbol("failed");

function check<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  where: string,
  faults: string[],
): v.InferOutput<Schema> | typeof failed {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  for (const line of describeIssues(result.issues)) faults.push(`${where}.${line}`.replace(".the document:", ":"));
  return failed;
}

function* objectsIn(value: unknown, path: Path): Generator<{ path: Path; object: Record<string, unknown> }> {
  if (!isObject(value)) return;
  const { kind, items } = value;
  if (typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)) {
    for (const [index, item] of items.entries()) yield* objectsIn(item, [...path, "items", index]);
  } else yield { path, object: value };
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (isObject(inner) ? inner[step] : undefined), value);
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
