import * as v from "valibot";
import { type ObjectName, parseObjectName } from "../object-name.ts";

const kubernetesStore = "kubernetes:";
const storeForms = 'must be "file:PATH", "env:NAME" or "kubernetes:NAMESPACE/NAME"';

/** Where a text is kept that the CA reads and reads again: an authority document, a key set, a token. */
export const storeLocation = v.pipe(
  v.string(),
  v.check(
    (text) => /^(?:file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$/.test(text) || secretOfStore(text) !== undefined,
    storeForms,
  ),
);

/** The Secret of a `kubernetes:NAMESPACE/NAME` store; undefined for a store of another kind. */
export function secretOfStore(store: string): ObjectName | undefined {
  return store.startsWith(kubernetesStore) ? parseObjectName(store.slice(kubernetesStore.length)) : undefined;
}
