import { stringify } from "yaml";

/** Manifests of one small application, `web`, as text. */

/** YAML that Kubernetes reads as it is meant: a "no" stays text. */
export const yaml = (value: unknown): string => stringify(value, { version: "1.1", aliasDuplicateObjects: false });

export const service = (ports: object[], more: object = {}): string =>
  yaml({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports, ...more },
  });

export const podSpec = {
  serviceAccountName: "web",
  containers: [{ name: "web", image: "web", ports: [{ name: "http", containerPort: 8080 }] }],
};

export function workload(annotations: object = {}, spec: object = {}): string {
  const template = { metadata: { labels: { app: "web" }, annotations }, spec: { ...podSpec, ...spec } };
  return yaml({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" }, spec: { template } });
}

export const web = service([{ port: 80, targetPort: "http", name: "http" }]);

/** The Service and the Deployment. */
export const both = (annotations: object = {}, spec: object = {}): string =>
  `${web}---\n${workload(annotations, spec)}`;

export const upstreams = (list: string): object => ({ "signet.dev/upstreams": list });
