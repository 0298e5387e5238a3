import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { toHex } from "@signet/shared/base64";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { collectDefaultMetrics, Registry } from "prom-client";
import { createApp } from "../../app.ts";
import type { AuthoritySource } from "../../authority/source.ts";
import { refreshDenyLists } from "../../authorize/policy.ts";
import { compose, type Platform } from "../../compose.ts";
import type { Config } from "../../config.ts";
import type { ObjectName } from "../../object-name.ts";
import { adminApp, adminRoutes } from "./admin.ts";
import { answering, answerUnreadable } from "./answer.ts";
import { docsAnswer } from "./docs/answer.ts";
import { closeServer, Drain } from "./drain.ts";
import { makeFirstAuthorities, warmKeys } from "./first-start.ts";
import { createHttpServer, type HttpServer, type ServerLimits } from "./http-server.ts";
import { type ClusterOptions, clusterAccess, podCluster } from "./kubernetes/access.ts";
import { ApiServer } from "./kubernetes/api-server.ts";
import { RootsPublisher } from "./kubernetes/publish-roots.ts";
import type { HeldLogger } from "./log.ts";
import { meteredAudit } from "./metrics/audit.ts";
import { authorityMetrics } from "./metrics/authorities.ts";
import { abuseCounter, connectionMetrics } from "./metrics/connections.ts";
import { loadedMetrics } from "./metrics/loaded.ts";
import { requestMetrics } from "./metrics/requests.ts";
import { meteredCrypto } from "./metrics/signing.ts";
import { sinkMetrics } from "./metrics/sinks.ts";
import { findClusterIssuer, nodePlatform } from "./platform.ts";
import { repeating } from "./retry.ts";
import type { ServerCertificate } from "./server-certificate.ts";
import { ServingCertificate } from "./serving-certificate.ts";
import { type TlsFiles, TlsFilesCertificate } from "./tls-files.ts";

/** Where to listen. */
export interface Address {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface ServeOptions extends Address {
  readonly config: Config;
  /** What the configuration is called in messages. */
  readonly source: string;
  /** The folder that `file:` paths start from. */
  readonly folder: string;
  /** PEM files for https, or DNS names for a certificate of the CA's own; plain http without. */
  readonly tls: TlsFiles | { readonly dnsNames: readonly string[] } | undefined;
  /** Where metrics and health are, in plain http; with the API itself without. */
  readonly admin?: Address | undefined;
  /** The ConfigMap to keep the roots in. */
  readonly publishRoots?: ObjectName | undefined;
  readonly logger: Logger & Partial<HeldLogger>;
  /** Where the API server is; the pod's own unless told. */
  readonly cluster?: ClusterOptions;
  readonly limits?: ServerLimits;
}

export interface StopOptions {
  /** Seconds to go on serving while `/readyz` already says 503, so that load balancers look away first. */
  readonly drainSeconds?: number;
  /** Seconds after that for the requests under way; what is not answered then is cut off. */
  readonly patienceSeconds?: number;
}

export interface Running {
  readonly url: string;
  /** Undefined without an address of its own. */
  readonly adminUrl: string | undefined;
  /** Takes no more connections, answers the requests under way, and closes. */
  stop(options?: StopOptions): Promise<void>;
}

// As often as the authorities are read again.
const renewalLookSeconds = 30;
// A certificate in a mounted Secret is there a minute after it was made; reading two small files costs nothing.
const filesLookSeconds = 5;
// Audit events that wait for a sink that was down.
const flushSeconds = 5;
// Keys and deny lists are read again in time, so that no request has to.
const warmSeconds = 30;

/** Runs the CA on Node. */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, source, folder, tls, admin, publishRoots, logger, cluster = podCluster } = options;
  const publishing = publishRoots && new ApiServer(clusterAccess(cluster, "--publish-roots"), "authority-unavailable");
  await makeFirstAuthorities(config, folder, cluster, logger);
  const clusterIssuer = await findClusterIssuer(config, cluster, logger);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const plain = nodePlatform({ folder, logger, cluster, clusterIssuer });
  const ownDnsNames = tls !== undefined && "dnsNames" in tls ? tls.dnsNames : [];
  const platform: Platform = { ...plain, ownDnsNames, crypto: meteredCrypto(plain.crypto, registry) };
  const deps = compose(config, source, platform);
  const { authorities } = deps;
  const app = createApp({ ...deps, audit: meteredAudit(deps.audit, registry) });
  // Faults show in the log now rather than at the first request; readiness tells the rest.
  await authorities.refresh();
  await refreshDenyLists(deps.policy);
  await warmKeys(config, source, deps.issuers);

  const certificate = await makeCertificate(tls, authorities.own, platform);
  const routes = adminRoutes(registry);
  app.get("/docs", docsAnswer(deps.issuers));
  if (admin === undefined) app.route("/", routes);
  const drain = new Drain();
  const requests = requestMetrics(
    app.routes.map(({ path }) => path),
    registry,
  );
  const answer = answering(
    (request, env) => app.fetch(request, env),
    requests,
    drain,
    () => logger.flush?.(),
  );
  const errorHandler = answerUnreadable(() => toHex(platform.crypto.random(8)));
  const server = createHttpServer({
    listener: getRequestListener(answer, { errorHandler }),
    tls: certificate?.context,
    limits: options.limits,
    onAbuse: abuseCounter(registry, logger),
  });
  authorityMetrics(authorities, registry);
  connectionMetrics(server, certificate, registry);
  sinkMetrics(deps.auditSinks, registry);
  loadedMetrics(deps.issuers, deps.policy, registry);
  const adminServer = admin && createHttpServer({ listener: getRequestListener(adminApp(routes, answer).fetch) });
  const adminUrl = admin && adminServer && (await listen(adminServer, "--admin", "http", admin));
  let url: string;
  try {
    url = await listen(server, "--listen", certificate === undefined ? "http" : "https", options);
  } catch (error) {
    await adminServer?.close();
    throw error;
  }

  const flush = () => Promise.all(deps.auditSinks.map((sink) => sink.flush()));
  const warm = () =>
    Promise.allSettled([refreshDenyLists(deps.policy), ...deps.issuers.map(({ keys }) => keys.warm())]);
  const endings = [repeating(() => flush().then(() => flushSeconds)), repeating(() => warm().then(() => warmSeconds))];
  if (certificate !== undefined) {
    const seconds = certificate instanceof TlsFilesCertificate ? filesLookSeconds : renewalLookSeconds;
    endings.push(repeating(() => certificate.renew(server).then(() => seconds)));
  }
  if (publishRoots !== undefined && publishing !== undefined) {
    const parts = { api: publishing, configMap: publishRoots, authorities: authorities.own, logger };
    const publisher = new RootsPublisher(parts);
    endings.push(repeating(() => publisher.look()));
  }
  return {
    url,
    adminUrl,
    async stop({ drainSeconds = 0, patienceSeconds = 15 } = {}) {
      await drain.begin(drainSeconds);
      for (const end of endings) end();
      await closeServer(server, patienceSeconds, logger);
      await Promise.race([flush(), sleep(flushSeconds * 1000, undefined, { ref: false })]);
      // Last, so that the end can be watched.
      if (adminServer !== undefined) await closeServer(adminServer, 1, logger);
    },
  };
}

async function makeCertificate(
  tls: ServeOptions["tls"],
  authorities: AuthoritySource,
  { clock, logger }: Platform,
): Promise<ServerCertificate | undefined> {
  if (tls === undefined) return undefined;
  if ("key" in tls) return TlsFilesCertificate.read(tls, clock, logger);
  return ServingCertificate.make({ dnsNames: tls.dnsNames, authorities, clock, logger });
}

async function listen(
  server: HttpServer,
  flag: "--listen" | "--admin",
  scheme: "http" | "https",
  { host, port }: Address,
): Promise<string> {
  const shown = host.includes(":") ? `[${host}]` : host;
  try {
    return `${scheme}://${shown}:${await server.listen(host, port)}`;
  } catch (error) {
    const { message } = asSignetError(error, "config-invalid");
    throw new SignetError("config-invalid", `${flag} ${shown}:${port}: ${message}`, { cause: error });
  }
}
