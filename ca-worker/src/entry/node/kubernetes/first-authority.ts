import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { encodePem } from "@signet/shared/pem";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import { retrying } from "../retry.ts";
import type { SecretStore } from "./secret-store.ts";

export interface FirstAuthorityOptions {
  readonly store: SecretStore;
  readonly trustDomain: TrustDomain;
  /** Whether the root's key is put into a Secret, or forgotten. */
  readonly keepRootKey: boolean;
  readonly logger: Logger;
  readonly patienceSeconds: number;
}

/**
 * Makes the authority on the first start in a cluster. Replicas that start at once end with one: who creates the root
 * key's Secret goes on to create the authority's, the others wait for that. Nothing is ever overwritten.
 * @returns whether it was made here
 * @throws SignetError `authority-unavailable`
 */
export async function ensureAuthority(options: FirstAuthorityOptions): Promise<boolean> {
  const { store, trustDomain, keepRootKey, logger, patienceSeconds } = options;
  const retry = <T>(task: () => Promise<T>) =>
    retrying(task, {
      patienceSeconds,
      onFailure: ({ code, message }) =>
        logger.warn({ event: "authority", code, error: message }, "the authority's Secret cannot be had yet"),
    });
  if ((await retry(() => store.find())) !== undefined) return false;

  // Loaded here only: it takes longer than all the rest of the start.
  const { makeAuthority } = await import("../../../authority/make/authority.ts");
  const { document, rootKey } = await makeAuthority({ trustDomain, now: Math.floor(Date.now() / 1000) });
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (keepRootKey && !(await retry(() => store.createRootKey(encodePem("PRIVATE KEY", rootKey))))) {
    const fields = { event: "authority-found", secret: store.secret.name, rootKeySecret: store.rootKeySecret.name };
    logger.info(
      fields,
      "there is a root's key already; waiting for the authority, which another replica must be making",
    );
    await untilMadeElsewhere(store, patienceSeconds);
    logger.info(fields, "the authority is there");
    return false;
  }
  // From here on this process has the only copy of the document, so it does not give up at the first failure.
  if (!(await retry(() => store.create(text))) && (await retry(() => store.find())) !== text) {
    const { name } = store.rootKeySecret;
    logger.warn(
      { event: "authority-found", secret: store.secret.name, rootKeySecret: name },
      "an authority was put there meanwhile and is used; a root key that was just made does not belong to it",
    );
    return false;
  }
  logger.info(
    {
      event: "authority-made",
      secret: store.secret.name,
      rootKeySecret: keepRootKey ? store.rootKeySecret.name : null,
    },
    "made a new authority; copy it and the root's key out of the cluster, and leave an empty Secret for the key (README)",
  );
  return true;
}

async function untilMadeElsewhere(store: SecretStore, patienceSeconds: number): Promise<void> {
  const end = Date.now() + patienceSeconds * 1000;
  for (;;) {
    const found = await store.find().catch((error: unknown) => {
      // An API server that is away for a moment is no answer.
      if (error instanceof SignetError && error.retryAfterSeconds !== undefined) return undefined;
      throw error;
    });
    if (found !== undefined) return;
    if (Date.now() > end) throw lost(store);
    await sleep(500);
  }
}

function lost({ secret: { namespace, name }, rootKeySecret }: SecretStore): SignetError {
  return new SignetError(
    "authority-unavailable",
    `the Secret ${namespace}/${rootKeySecret.name} is there, but ${namespace}/${name} is not: an authority was made here and its document is lost.
  To restore it from a copy:
    kubectl -n ${namespace} create secret generic ${name} --from-file=authority.json=COPY
  To start anew (every workload then gets a new identity from a new root), delete the old root's key and the ConfigMap of published roots:
    kubectl -n ${namespace} delete secret ${rootKeySecret.name}`,
  );
}
