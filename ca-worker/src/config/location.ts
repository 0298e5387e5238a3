import * as v from "valibot";
import { parseSecretName, type SecretName } from "../aws/secret-name.ts";
import { type ObjectName, parseObjectName } from "../object-name.ts";

const kubernetesStore = "kubernetes:";
const awsSecretStore = "aws-secretsmanager:";
const storeForms = 'must be "file:PATH", "env:NAME", "kubernetes:NAMESPACE/NAME" or "aws-secretsmanager:NAME-or-ARN"';

/** Where a text is kept that the CA reads and reads again: an authority document, a key set, a token. */
export const storeLocation = v.pipe(
  v.string(),
  v.check(
    (text) =>
      /^(?:file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$/.test(text) ||
      secretOfStore(text) !== undefined ||
      awsSecretOfStore(text) !== undefined,
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
