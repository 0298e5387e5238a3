import type { Logger } from "@signet/shared/deps";
import type { ClusterIssuer, Platform } from "../../compose.ts";
import { inCluster } from "../../config/issuer.ts";
import { secretOfStore } from "../../config/location.ts";
import type { Config } from "../../config.ts";
import { systemTimer } from "../timer.ts";
import { nodeCrypto } from "./crypto.ts";
import { createFetchTrusting } from "./fetch-trusting.ts";
import { type ClusterOptions, clusterAccess } from "./kubernetes/access.ts";
import { ApiServer } from "./kubernetes/api-server.ts";
import { discoverClusterIssuer } from "./kubernetes/cluster-issuer.ts";
import { SecretStore } from "./kubernetes/secret-store.ts";
import { openText } from "./text-sources.ts";

export interface NodePlatformOptions {
  /** The folder of the configuration, which `file:` paths are relative to. */
  readonly folder: string;
  readonly logger: Logger;
  readonly cluster: ClusterOptions;
  readonly clusterIssuer: ClusterIssuer | undefined;
}

/** Node as a platform. */
export function nodePlatform({ folder, logger, cluster, clusterIssuer }: NodePlatformOptions): Platform {
  const outside = {
    clock: () => Date.now() / 1000,
    fetch: (url: string, init?: RequestInit) => fetch(url, init),
  };
  return {
    ...outside,
    setTimer: systemTimer,
    fetchTrusting: createFetchTrusting(),
    logger,
    crypto: nodeCrypto,
    open: (location) =>
      secretStore(location, cluster) ?? openText(location, { ...outside, folder, environment: process.env }),
    clusterIssuer,
  };
}

/**
 * The store of a `kubernetes:` location; undefined for another kind.
 * @throws SignetError `config-invalid` outside of a pod
 */
export function secretStore(location: string, cluster: ClusterOptions): SecretStore | undefined {
  const secret = secretOfStore(location);
  if (secret === undefined) return undefined;
  return new SecretStore(
    new ApiServer(clusterAccess(cluster, `authority.store "${location}"`), "authority-unavailable"),
    secret,
  );
}

/**
 * The issuer `in-cluster`, if the configuration has it.
 * @throws SignetError `config-invalid` outside of a pod, `issuer-unavailable`
 */
export async function findClusterIssuer(
  { issuers }: Config,
  cluster: ClusterOptions,
  logger: Logger,
): Promise<ClusterIssuer | undefined> {
  const index = issuers.findIndex(({ issuer }) => issuer === inCluster);
  if (index < 0) return undefined;
  const access = clusterAccess(cluster, `issuers.${index}.issuer "${inCluster}"`);
  return discoverClusterIssuer(new ApiServer(access, "issuer-unavailable"), logger, cluster.patienceSeconds);
}
