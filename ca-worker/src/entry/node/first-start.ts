import { stat } from "node:fs/promises";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import type { Issuer } from "../../authenticate/service-account.ts";
import { authoritiesOf } from "../../config/trust-domains.ts";
import type { Config } from "../../config.ts";
import type { ClusterOptions } from "./kubernetes/access.ts";
import { ensureAuthority } from "./kubernetes/first-authority.ts";
import { secretStore } from "./platform.ts";
import { pathAt } from "./text-sources.ts";

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

/** On the first start, in development or in a cluster, there are no authorities yet; what is there is never touched. */
export async function makeFirstAuthorities(
  config: Config,
  folder: string,
  cluster: ClusterOptions,
  logger: Logger,
): Promise<void> {
  for (const { trustDomain: name, store: location } of authoritiesOf(config)) {
    const trustDomain = TrustDomain.parse(name);
    const store = secretStore(location, cluster);
    if (store !== undefined) {
      const { patienceSeconds } = cluster;
      await ensureAuthority({ store, logger, patienceSeconds, keepRootKey: true, trustDomain });
    }
    if (location.startsWith("file:")) await makeFirstFile(pathAt(folder, location), trustDomain, logger);
  }
}

async function makeFirstFile(path: string, trustDomain: TrustDomain, logger: Logger): Promise<void> {
  const missing = await stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  if (!missing) return;
  if (process.env.NODE_ENV === "production") {
    throw new SignetError(
      "authority-unavailable",
      `${path} is missing; make it with: signet-ca authority init --config FILE --trust-domain ${trustDomain}`,
    );
  }
  // Loaded here only: it takes longer than all the rest of the start.
  const { initAuthority, rootKeyPath } = await import("../../authority/make/init.ts");
  await initAuthority(trustDomain, path, rootKeyPath(path));
  logger.warn({ event: "authority-made", path }, "made a new authority with plain keys, for development only");
}
