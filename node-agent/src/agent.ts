import type { AdminServer } from "./admin.ts";
import { Agenda } from "./agenda.ts";
import { TrustBundleStore } from "./ca/bundle.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { readCaller } from "./identity/caller.ts";
import { followNodeToken, noNodeToken } from "./identity/node-token.ts";
import { EncodedSecret } from "./sds/secret.ts";
import { SdsServer } from "./sds/server.ts";
import { type ListeningSocket, listenOnSocket } from "./sds/socket.ts";
import { type WorkloadLimits, Workloads } from "./svid/workloads.ts";
import { viewOf } from "./workload-view.ts";

// Streams are told to end at once; this is for peers that do not listen any more.
const drainMilliseconds = 2_000;

export interface Agent {
  /** Where the admin routes are, undefined when they are off. */
  readonly adminUrl: string | undefined;
  /** Number of things still planned; 0 after a stop. */
  readonly planned: () => number;
  /** Ends all streams, takes the socket away, and leaves nothing behind. */
  stop(): Promise<void>;
}

/**
 * Starts an agent: it takes its socket first and fails without it, then serves, then looks for the CA, which may come
 * later.
 * @throws SignetError `config-invalid`, `socket-unavailable`, `socket-in-use`, `admin-unavailable`
 */
export async function startAgent(config: Config, deps: Deps, limits: Partial<WorkloadLimits> = {}): Promise<Agent> {
  const { log, metrics, now } = deps;
  const { trustDomain } = config;
  const nodeToken = config.nodeToken === undefined ? noNodeToken : followNodeToken(config.nodeToken, log);
  const agenda = new Agenda(deps);
  const bundles = new TrustBundleStore(trustDomain, deps);

  // What the socket does not need is loaded while the first Envoys are already connecting.
  const loading = Promise.all([import("./ca/client.ts"), import("./ca/bundle-poll.ts"), import("./svid/issue.ts")]);
  const issue = loading.then(([{ CaClient }, , { createIssue }]) => {
    const client = new CaClient({ url: config.caUrl, pinnedCa: config.caCert, nodeToken });
    return { client, issue: createIssue({ client, bundles, ttlSeconds: config.ttlSeconds, deps }) };
  });
  const workloads = new Workloads({ issue: async (what) => (await issue).issue(what), agenda, deps, limits });

  let bundleSecret: EncodedSecret | undefined;
  const bundleHolders = new Set<() => void>();
  bundles.onChange(({ sequence, pem }) => {
    bundleSecret = EncodedSecret.ofBundle(sequence, pem);
    for (const onChange of [...bundleHolders]) onChange();
  });

  const server = new SdsServer({
    names: config.names,
    readCaller: (token) => readCaller(token, { now, trustDomain, nodeUid: () => nodeToken.nodeUid() }),
    openSvid: (caller, onChange, onEnd) => workloads.subscribe(caller, { onChange, onEnd }),
    openBundle: (onChange) => {
      bundleHolders.add(onChange);
      return { current: () => bundleSecret, close: () => bundleHolders.delete(onChange) };
    },
    deps,
  });

  let socket: ListeningSocket | undefined = await listenOnSocket({
    path: config.socket,
    mode: config.socketMode,
    log,
    onConnection: (connection) => server.connect(connection),
  });
  log.info({ socket: config.socket, trustDomain: trustDomain.name, caUrl: config.caUrl.href }, "serving SDS");

  let admin: AdminServer | undefined;
  const stop = async () => {
    socket?.close();
    socket = undefined;
    await server.stop(drainMilliseconds);
    workloads.stop();
    agenda.stop();
    const { client } = await issue;
    await client.close();
    await admin?.close();
    log.info({}, "stopped");
  };
  try {
    const { client } = await issue;
    const { BundlePoll } = (await loading)[1];
    new BundlePoll(client, bundles, agenda, deps).start();
    if (config.admin !== "off") {
      const { serveAdmin } = await import("./admin.ts");
      const sources = {
        metrics,
        workloads: () => [...workloads.all].map(viewOf),
        isListening: () => socket !== undefined,
        hasBundle: () => bundles.current !== undefined,
      };
      admin = await serveAdmin(sources, config.admin);
      log.info({ url: admin.url }, "admin routes");
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { adminUrl: admin?.url, planned: () => agenda.size, stop };
}
