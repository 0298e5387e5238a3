import { stat } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { createApp } from "../../app.ts";
import type { Issuer } from "../../authenticate/service-account.ts";
import { compose } from "../../compose.ts";
import type { Config } from "../../config.ts";
import type { ObjectName } from "../../object-name.ts";
import { type ClusterOptions, clusterAccess, podCluster } from "./kubernetes/access.ts";
import { ApiServer } from "./kubernetes/api-server.ts";
import { ensureAuthority } from "./kubernetes/first-authority.ts";
import { RootsPublisher } from "./kubernetes/publish-roots.ts";
import { meteredAudit } from "./metrics.ts";
import { authorityPath, findClusterIssuer, nodePlatform, secretStore } from "./platform.ts";
import { repeating } from "./retry.ts";
import { ServingCertificate } from "./serving-certificate.ts";
import { readTls, type TlsFiles } from "./tls.ts";

export interface ServeOptions {
  readonly config: Config;
  /** What the configuration is called in messages. */
  readonly source: string;
  /** The folder that `file:` paths start from. */
  readonly folder: string;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM files for https, or DNS names for a certificate of the CA's own; plain http without. */
  readonly tls: TlsFiles | { readonly dnsNames: readonly string[] } | undefined;
  /** The ConfigMap to keep the roots in. */
  readonly publishRoots?: ObjectName | undefined;
  readonly logger: Logger;
  /** Where the API server is; the pod's own unless told. */
  readonly cluster?: ClusterOptions;
}

export interface Running {
  readonly url: string;
  /** Stops taking connections and waits for the requests under way. */
  stop(): Promise<void>;
}

// A slow client must not hold a connection for long: bodies are a few KiB.
const requestTimeoutMs = 10_000;
// Two tokens of the longest that are looked at, and room for the rest.
const maxHeaderSize = 2 * maxTokenCharacters + 8_192;

// As often as the authorities are read again.
const renewalLookSeconds = 30;

/** Runs the CA on Node. */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, source, folder, host, port, tls, publishRoots, logger, cluster = podCluster } = options;
  const publishing = publishRoots && new ApiServer(clusterAccess(cluster, "--publish-roots"), "authority-unavailable");
  await makeFirstAuthority(config, folder, cluster, logger);
  const clusterIssuer = await findClusterIssuer(config, cluster, logger);
  const platform = nodePlatform({ folder, logger, cluster, clusterIssuer });
  const deps = compose(config, source, platform);
  const { authorities } = deps;
  const { audit, registry } = meteredAudit(deps.audit);
  const app = createApp({ ...deps, audit });
  app.get("/metrics", async (context) =>
    context.body(await registry.metrics(), 200, { "content-type": registry.contentType }),
  );
  // Faults show in the log now rather than at the first request; readiness tells the rest.
  await Promise.all([...authorities].map((source) => source.current().catch(() => {})));
  await warmKeys(config, source, deps.issuers);

  const listener = getRequestListener(app.fetch);
  const limits = { requestTimeout: requestTimeoutMs, maxHeaderSize };
  const own =
    tls !== undefined && "dnsNames" in tls
      ? await ServingCertificate.make({
          dnsNames: tls.dnsNames,
          authorities: authorities.own,
          clock: platform.clock,
          logger,
        })
      : undefined;
  const context = own?.context ?? (tls !== undefined && "key" in tls ? readTls(tls) : undefined);
  const server =
    context === undefined
      ? createHttpServer(limits, listener)
      : createHttpsServer({ ...limits, minVersion: "TLSv1.2", ...context }, listener);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new SignetError("config-invalid", `--listen: ${cause.message}`, { cause })));
    server.listen(port, host, resolve);
  });
  const { port: boundPort } = server.address() as AddressInfo;
  const shownHost = host.includes(":") ? `[${host}]` : host;

  const endings: (() => void)[] = [];
  if (own !== undefined) {
    endings.push(
      repeating(async () => {
        await own.renew(server as HttpsServer);
        return renewalLookSeconds;
      }),
    );
  }
  if (publishRoots !== undefined && publishing !== undefined) {
    const publisher = new RootsPublisher({
      api: publishing,
      configMap: publishRoots,
      authorities: authorities.own,
      logger,
    });
    endings.push(repeating(() => publisher.look()));
  }
  return {
    url: `${context === undefined ? "http" : "https"}://${shownHost}:${boundPort}`,
    async stop() {
      for (const end of endings) end();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
    },
  };
}

/** Gets the issuers' keys. An issuer that is down can come back; a file that is missing or wrong has to be mended now. */
async function warmKeys({ issuers }: Config, source: string, made: readonly Issuer[]): Promise<void> {
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
async function makeFirstAuthority(
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
