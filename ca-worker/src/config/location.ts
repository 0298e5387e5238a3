import * as v from "valibot";
import { parseSecretName, type SecretName } from "../aws/secret-name.ts";
import { type ObjectName, parseObjectName } from "../object-name.ts";

const kubernetesStore = "kubernetes:";
const awsSecretStore = "aws-secretsmanager:";
const storeForms =
  'must be "file:PATH", "env:NAME", "kubernetes:NAMESPACE/NAME", "aws-secretsmanager:NAME-or-ARN" or "kv:BINDING/KEY"';

/** Where a text is kept that the CA reads and reads again: an authority document, a key set, a token. */
export const storeLocation = v.pipe(
  v.string(),
  v.check(
    (text) =>
      /^(?:file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$/.test(text) ||
      secretOfStore(text) !== undefined ||
      awsSecretOfStore(text) !== undefined ||
      kvEntryOf(text) !== undefined,
    storeForms,
  ),
);

/** The Secret of a `kubernetes:NAMESPACE/NAME` store; undefined for a store of another kind. */
export function secretOfStore(store: string): ObjectName | undefined {
  return store.startsWith(kubernetesStore) ? parseObjectName(store.slice(kubernetesStore.length)) : undefined;
}

/** The secret of an `aws-secretsmanager:NAME-or-ARN` store; undefined for a store of another kind. */
export function awsSecretOfStore(store: string): SecretName | undefined {
  return store.startsWith(awsSecretStore) ? parseSecretName(store.slice(awsSecretStore.length)) : undefined;
}

/** The entry of a `kv:BINDING/KEY` store in a Workers KV namespace; undefined for a store of another kind. */
export function kvEntryOf(store: string): { readonly binding: string; readonly key: string } | undefined {
  // Keys have at most 512 bytes.
  const [, binding, key] = /^kv:([A-Za-z_][A-Za-z0-9_]*)\/([\x21-\x7e]{1,512})$/.exec(store) ?? [];
  return binding === undefined || key === undefined ? undefined : { binding, key };
}
