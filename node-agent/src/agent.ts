import type { AdminServer, AdminSources } from "./admin.ts";
import { Agenda } from "./agenda.ts";
import { TrustBundleStore } from "./ca/bundle.ts";
import { readPinnedCa } from "./ca/pinned-ca.ts";
import { flawOf } from "./ca/standing.ts";
import type { Config } from "./config.ts";
import type { CsiDriver } from "./csi/driver.ts";
import type { Deps } from "./deps.ts";
import { FollowedFile } from "./followed-file.ts";
import { type Caller, callerReader } from "./identity/caller.ts";
import { followNodeToken, noNodeToken } from "./identity/node-token.ts";
import { readToken } from "./identity/token.ts";
import { TokenIssuerStore } from "./identity/token-issuers.ts";
import { FileDescriptors } from "./sds/file-descriptors.ts";
import { KeptSocket, type SocketFault, worstFault } from "./sds/kept-socket.ts";
import { EncodedSecret } from "./sds/secret.ts";
import { type Principal, SdsServer, type SdsServerOptions } from "./sds/server.ts";
import { type WorkloadLimits, Workloads } from "./svid/workloads.ts";

// Streams are told to end at once; this is for peers that do not listen any more.
const drainMilliseconds = 2_000;
const stopping: SocketFault = { reason: "the agent is stopping", restartHelps: true };

export interface Agent {
  /** Where the admin routes are, undefined when they are off. */
  readonly adminUrl: string | undefined;
  /** Where health and metrics alone are, undefined when they are off. */
  readonly telemetryUrl: string | undefined;
  /** Number of things still planned, and of workloads and tokens that are held; 0 after a stop. */
  readonly planned: () => number;
  /** Ends all streams, takes the socket away, and leaves nothing behind. */
  stop(): Promise<void>;
}

/**
 * Starts an agent: it takes its sockets first and fails without them, then serves, then looks for the CA, which may come
 * later.
 * @throws SignetError `config-invalid`, `socket-unavailable`, `socket-in-use`, `admin-unavailable`
 */
export async function startAgent(config: Config, deps: Deps, limits: Partial<WorkloadLimits> = {}): Promise<Agent> {
  const { log, metrics, now } = deps;
  const { accountPath, caUrls, names, proxies, trustDomain, validator } = config;
  const startedAt = now();
  const nodeToken = config.nodeToken === undefined ? noNodeToken : followNodeToken(config.nodeToken, log);
  const pinnedCa =
    config.caCert === undefined
      ? undefined
      : new FollowedFile({ file: config.caCert, setting: "caCert", read: readPinnedCa, log });
  const agenda = new Agenda(deps);
  const bundles = new TrustBundleStore(trustDomain, deps);

  // What the socket does not need is loaded while the first Envoys are already connecting.
  const loading = Promise.all([import("./ca/client.ts"), import("./ca/bundle-poll.ts"), import("./svid/issue.ts")]);
  const issue = loading.then(async ([{ CaClient }, , { createIssue }]) => {
    const client = await CaClient.open({
      urls: caUrls,
      proxies,
      ...{ pinnedCa, nodeToken, trustDomain, agenda, deps },
    });
    return { client, issue: createIssue({ client, bundles, ttlSeconds: config.ttlSeconds, deps }) };
  });
  const tokenIssuers = new TokenIssuerStore(trustDomain, accountPath);
  let caIsAway = () => false;
  const workloads = new Workloads({
    ...{ agenda, deps, limits },
    issue: async (what) => (await issue).issue(what),
    offline: {
      isCaAway: () => caIsAway(),
      verify: (caller) => tokenIssuers.verify(caller, { now: now(), nodeUid: nodeToken.nodeUid() }),
    },
    flawOf: ({ issuers }) => (bundles.current === undefined ? undefined : flawOf(issuers, bundles.current)),
  });

  let bundleSecret: EncodedSecret | undefined;
  const bundleHolders = new Set<() => void>();
  bundles.onChange(({ pem }) => {
    bundleSecret = EncodedSecret.ofBundle([{ trustDomain: trustDomain.name, rootsPem: pem }]);
    for (const onChange of [...bundleHolders]) onChange();
    workloads.review();
  });

  const openBundle: SdsServerOptions["openBundle"] = (onChange) => {
    bundleHolders.add(onChange);
    return { current: () => bundleSecret, close: () => bundleHolders.delete(onChange) };
  };
  const callerOf = callerReader({ now, trustDomain, accountPath, nodeUid: () => nodeToken.nodeUid() });
  // On the socket that pods share, a stream is who its token says, once the CA has said so too.
  const principalOf = (caller: Caller, connection: object): Principal => ({
    spiffeId: caller.spiffeId,
    key: caller.tokenHash,
    isTrusted: () => workloads.hasAccepted(caller),
    who: {
      claimedId: caller.spiffeId.toString(),
      claimedPod: `${caller.claims.namespace}/${caller.claims.podName}`,
    },
    openSvid: (onChange, onEnd) => workloads.subscribe(caller, { onChange, onEnd }, { connection }),
  });
  const descriptors = new FileDescriptors(config.csi !== undefined);
  if (descriptors.isTight) {
    log.warn({ limit: descriptors.limit }, "few file descriptors: raise the limit (LimitNOFILE=, ulimit -n)");
  }
  const server = new SdsServer({
    names,
    validator,
    hasRoom: () => descriptors.hasRoomFor("shared"),
    identify: (headers, connection) => principalOf(callerOf(readToken(headers)), connection),
    openBundle,
    deps,
  });

  let socket: KeptSocket | undefined;
  let csi: CsiDriver | undefined;
  let stopped = false;
  const servers: AdminServer[] = [];
  const release = async () => {
    stopped = true;
    socket?.close();
    socket = undefined;
    await Promise.all([csi?.stop(), server.stop(drainMilliseconds)]);
    workloads.stop();
    agenda.stop();
    const { client } = await issue;
    client.close();
    await Promise.all(servers.map((one) => one.close()));
  };
  const stop = async () => {
    await release();
    log.info({}, "stopped");
  };
  try {
    if (config.socket !== undefined) {
      socket = await KeptSocket.listen({
        role: "shared",
        path: config.socket,
        mode: config.socketMode,
        ...{ agenda, deps, log },
        onConnection: (connection) => server.connect(connection),
      });
      log.info(
        { socket: config.socket, trustDomain: trustDomain.name, caUrls: caUrls.map(({ href }) => href) },
        "serving SDS",
      );
    }
    if (config.csi !== undefined) {
      const { startCsiDriver } = await import("./csi/driver.ts");
      csi = await startCsiDriver({
        ...{ config: config.csi, agenda, readCaller: callerOf, names, validator, openBundle, workloads, deps },
        hasRoom: () => descriptors.hasRoomFor("pod"),
      });
    }
    const { client } = await issue;
    const { BundlePoll } = (await loading)[1];
    new BundlePoll(client, bundles, agenda, deps).start();
    caIsAway = () => client.endpoints.every(({ state }) => state === "failing");
    const { IssuersPoll } = await import("./ca/issuers-poll.ts");
    new IssuersPoll(client, tokenIssuers, agenda, deps).start();
    const sources: AdminSources = {
      metrics,
      workloads: () => workloads.all,
      socketFault: () => (stopped ? stopping : worstFault([socket?.fault, csi?.socketFault])),
      bundle: () => bundles.current,
      caEndpoints: () => client.endpoints,
      csi,
      log,
      now,
      startedAt,
      trustDomain: trustDomain.name,
      socket: config.socket,
      nodeName: config.csi?.nodeName,
    };
    const serve = async (address: Config["admin"], how: "serveAdmin" | "serveTelemetry", what: string) => {
      if (address === "off") return undefined;
      const { [how]: start } = await import("./admin.ts");
      const server = await start(sources, address);
      servers.push(server);
      log.info({ url: server.url }, what);
      return server.url;
    };
    const adminUrl = await serve(config.admin, "serveAdmin", "admin routes");
    const telemetryUrl = await serve(config.telemetry, "serveTelemetry", "health and metrics");
    return { adminUrl, telemetryUrl, planned: () => agenda.size + workloads.size, stop };
  } catch (error) {
    await release();
    throw error;
  }
}
