import { stat } from "node:fs/promises";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import type { Issuer } from "../../authenticate/service-account.ts";
import type { Config } from "../../config.ts";
import type { ClusterOptions } from "./kubernetes/access.ts";
import { ensureAuthority } from "./kubernetes/first-authority.ts";
import { authorityPath, secretStore } from "./platform.ts";

/** Gets the issuers' keys. An issuer that is down can come back; a file that is missing or wrong has to be mended now. */
export async function warmKeys({ issuers }: Config, source: string, made: readonly Issuer[]): Promise<void> {
  const results = await Promise.allSettled(made.map(({ keys }) => keys.warm()));
  const faults = results.flatMap((result, index) => {
    const keys = issuers[index]?.keys;
    const fromFile = typeof keys === "string" && keys.startsWith("file:");
    return result.status === "rejected" && fromFile
      ? [`issuers.${index}.keys: ${asSignetError(result.reason, "config-invalid").message}`]
      : [];
  });
  if (faults.length > 0) throw configError(source, faults);
}

/** On the first start, in development or in a cluster, there is no authority yet; what is there is never touched. */
export async function makeFirstAuthority(
  { authority, trustDomain }: Config,
  folder: string,
  cluster: ClusterOptions,
  logger: Logger,
): Promise<void> {
  const store = secretStore(authority.store, cluster);
  if (store !== undefined) {
    const { patienceSeconds } = cluster;
    await ensureAuthority({
      ...{ store, logger, patienceSeconds, keepRootKey: true },
      trustDomain: TrustDomain.parse(trustDomain),
    });
  }
  if (!authority.store.startsWith("file:")) return;
  const path = authorityPath(folder, authority.store);
  const missing = await stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  if (!missing) return;
  if (process.env.NODE_ENV === "production") {
    throw new SignetError(
      "authority-unavailable",
      `${path} is missing; make it with: signet-ca authority init --config FILE`,
    );
  }
  // Loaded here only: it takes longer than all the rest of the start.
  const { initAuthority, rootKeyPath } = await import("../../authority/make/init.ts");
  await initAuthority(TrustDomain.parse(trustDomain), path, rootKeyPath(path));
  logger.warn({ event: "authority-made", path }, "made a new authority with plain keys, for development only");
}
