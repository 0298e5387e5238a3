/** A namespaced object of Kubernetes. */
export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

// RFC 1123 as Kubernetes takes it: a label for namespaces, a subdomain for Secrets and ConfigMaps. Either is safe in a path.
const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const pattern = new RegExp(`^(${label})/(${label}(?:\\.${label})*)$`);
// Kubernetes' limit of 253, with room for what a name of ours is made longer by.
const maxNameLength = 240;

/** Reads `NAMESPACE/NAME`; undefined for what no object can be called. */
export function parseObjectName(text: string): ObjectName | undefined {
  const [, namespace, name] = pattern.exec(text) ?? [];
  if (namespace === undefined || name === undefined || name.length > maxNameLength) return undefined;
  return { namespace, name };
}
