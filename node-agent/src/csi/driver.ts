import { join } from "node:path";
import { asSignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { CsiConfig } from "../config.ts";
import { Identity, Node } from "../gen/csi/v1/csi_pb.ts";
import { Registration } from "../gen/pluginregistration/api_pb.ts";
import type { Caller } from "../identity/caller.ts";
import { KeptSocket, type SocketFault, type SocketRole, worstFault } from "../sds/kept-socket.ts";
import { version } from "../version.ts";
import { readVolumes } from "./kubelet-records.ts";
import { driverName } from "./names.ts";
import type { PodSocketOptions } from "./pod-socket.ts";
import { PodSockets } from "./pod-sockets.ts";
import { readPublishRequest } from "./publish-request.ts";
import { UnaryServer } from "./rpc.ts";
import { readTarget } from "./target.ts";

export interface CsiOptions extends PodSocketOptions {
  readonly config: CsiConfig;
  readonly agenda: Agenda;
  /** May throw SignetError. */
  readonly readCaller: (token: string) => Caller;
}

export interface CsiDriver {
  /** Why the kubelet cannot use this driver (yet), undefined when it can. */
  readonly unregistered: string | undefined;
  /** Why the kubelet cannot connect at the moment of asking, if so. */
  readonly socketFault: SocketFault | undefined;
  readonly volumes: { readonly size: number; readonly withoutToken: number };
  stop(): Promise<void>;
}

/** Registration versions are CSI's (kubernetes `pkg/volume/csi`, highestSupportedVersion). */
const csiVersions = ["1.0.0"];
const pluginType = "CSIPlugin";
// The kubelet is root, and nobody else has a word to say here.
const socketMode = 0o600;

/**
 * Starts the CSI driver: first the sockets of pods that run already, then the kubelet's door, then the announcement that
 * makes the kubelet come. Neither a mount nor a privilege is needed: a socket is made inside the directory that the
 * kubelet mounts.
 * @throws SignetError `socket-unavailable`, `socket-in-use` when the kubelet's two sockets cannot be made
 */
export async function startCsiDriver({ agenda, config, readCaller, ...options }: CsiOptions): Promise<CsiDriver> {
  const { endpoint, kubeletDir, nodeName, socket } = config;
  const { log, metrics } = options.deps;
  const sockets = new PodSockets(options);
  let unregistered: string | undefined = "the kubelet has not registered the CSI driver yet";

  await restore(sockets, kubeletDir, options);
  sockets.keep(agenda);

  const kubelet = new UnaryServer(options.deps);
  kubelet.add(Identity, {
    getPluginInfo: () => ({ name: driverName, vendorVersion: version }),
    // None: there is no controller, and no topology.
    getPluginCapabilities: () => ({}),
    probe: () => ({ ready: true }),
  });
  kubelet.add(Node, {
    nodeGetInfo: () => ({ nodeId: nodeName }),
    nodeGetCapabilities: () => ({}),
    nodePublishVolume: async (request) => {
      try {
        await sockets.publish(readPublishRequest(request, { kubeletDir, readCaller }));
        metrics.published("published");
        return {};
      } catch (error) {
        metrics.published(asSignetError(error, "internal").code);
        throw error;
      }
    },
    nodeUnpublishVolume: async ({ targetPath }) => {
      await sockets.unpublish(readTarget(targetPath, kubeletDir));
      return {};
    },
  });
  kubelet.add(Registration, {
    getInfo: () => ({ type: pluginType, name: driverName, endpoint, supportedVersions: csiVersions }),
    notifyRegistrationStatus: ({ error, pluginRegistered }) => {
      unregistered = pluginRegistered ? undefined : `the kubelet does not register the CSI driver: ${error}`;
      if (pluginRegistered) log.info({ driver: driverName, endpoint }, "the kubelet registered the CSI driver");
      else log.error({ driver: driverName, endpoint, reason: error }, "the kubelet does not register the CSI driver");
      return {};
    },
  });

  const listening: KeptSocket[] = [];
  const listen = async (role: SocketRole, path: string, onRestored = () => {}) => {
    listening.push(
      await KeptSocket.listen({
        ...{ role, path, mode: socketMode, log, agenda, deps: options.deps, onRestored },
        onConnection: (connection) => kubelet.connect(connection),
      }),
    );
  };
  const stop = async () => {
    for (const one of listening.splice(0)) one.close();
    kubelet.stop();
    await sockets.stop();
  };
  try {
    await listen("csi", socket);
    await listen("registration", join(kubeletDir, "plugins_registry", `${driverName}-reg.sock`), () => {
      // The kubelet watches the directory: it has let go of the driver with the file, and comes for the new one.
      unregistered = "the registration socket was taken away; it is there again, and the kubelet has not come yet";
    });
  } catch (error) {
    await stop();
    throw error;
  }
  log.info({ driver: driverName, socket, endpoint, nodeName }, "serving the kubelet");
  return {
    get unregistered() {
      return unregistered;
    },
    get socketFault() {
      return worstFault(listening.map(({ fault }) => fault));
    },
    volumes: sockets,
    stop,
  };
}

// The kubelet publishes again by itself only after a minute or so; until then pods would find a dead socket.
async function restore(sockets: PodSockets, kubeletDir: string, { deps }: PodSocketOptions): Promise<void> {
  for (const target of readVolumes(kubeletDir)) {
    try {
      await sockets.restore(target);
    } catch (caught) {
      const { code, message } = asSignetError(caught, "internal");
      deps.log.warn({ podUid: target.podUid, code, reason: message }, "a pod's socket cannot be made again yet");
    }
  }
  if (sockets.size > 0) deps.log.info({ sockets: sockets.size }, "made the sockets of running pods again");
}
