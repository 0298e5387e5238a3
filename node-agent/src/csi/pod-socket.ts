import { closeSync, constants, fchmodSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import { type Principal, SdsServer, type SdsServerOptions } from "../sds/server.ts";
import { type ListeningSocket, listenOnSocket } from "../sds/socket.ts";
import type { Workloads } from "../svid/workloads.ts";
import { socketName } from "./names.ts";
import type { VolumeTarget } from "./target.ts";

export interface PodSocketOptions {
  readonly names: SdsServerOptions["names"];
  readonly validator: SdsServerOptions["validator"];
  readonly openBundle: SdsServerOptions["openBundle"];
  readonly workloads: Workloads;
  readonly hasRoom: SdsServerOptions["hasRoom"];
  readonly deps: Deps;
}

// An Envoy needs one connection, or as many as it has worker threads, and a stream for each place that names a secret. A pod
// that opens more hurts itself alone: what the agent spends on one pod is bounded.
const maxConnections = 16;
const limits = { maxCallsPerConnection: 256, maxUntrustedCallsPerConnection: 256 };
const drainMilliseconds = 500;
// Everybody in the pod may connect: who is in the pod is the pod.
const socketMode = 0o666;
const directoryMode = 0o755;

/**
 * The socket in a pod's volume. Whoever speaks on it is that pod: the kubelet mounts the directory into no other. Until
 * the kubelet has brought the pod's token, which after a restart of the agent takes it a minute or so, streams wait.
 */
export class PodSocket {
  readonly target: VolumeTarget;
  readonly #options: PodSocketOptions;
  #place: Place;
  #server: SdsServer | undefined;
  #caller: Caller | undefined;
  readonly #waiting = new Set<(principal: Principal) => void>();

  private constructor(target: VolumeTarget, options: PodSocketOptions, place: Place) {
    this.target = target;
    this.#options = options;
    this.#place = place;
  }

  /**
   * Listens in the pod's directory, which is made if it is not there.
   * @throws SignetError `socket-unavailable`, `socket-in-use`
   */
  static async open(target: VolumeTarget, options: PodSocketOptions): Promise<PodSocket> {
    const made: { socket?: PodSocket } = {};
    const place = await takePlace(target, options, (connection) => {
      // Connections come with a later turn of the event loop than this function's last step.
      if (made.socket === undefined) connection.destroy();
      else made.socket.#sds().connect(connection);
    });
    made.socket = new PodSocket(target, options, place);
    return made.socket;
  }

  /**
   * Listens anew where the pod looks for the socket; who is connected stays so.
   * @throws SignetError as {@link open}; all is as before then
   */
  async openAgain(): Promise<void> {
    const former = this.#place;
    this.#place = await takePlace(this.target, this.#options, (connection) => this.#sds().connect(connection));
    leavePlace(former, { keepFile: true });
  }

  get caller(): Caller | undefined {
    return this.#caller;
  }

  /** Whether the pod would find this socket. */
  get isInPlace(): boolean {
    return this.#place.socket.isAt(join(this.target.path, socketName));
  }

  /** Takes the pod's token as the kubelet brought it. */
  present(caller: Caller): void {
    this.#caller = caller;
    this.#options.workloads.refresh(caller);
    for (const resolve of this.#waiting) resolve(this.#principal(caller));
    this.#waiting.clear();
  }

  /** Ends what there is of it. With `keepFile` the socket stays where it is, for the next agent to take over. */
  async close(options: { readonly keepFile: boolean }): Promise<void> {
    leavePlace(this.#place, options);
    this.#waiting.clear();
    await this.#server?.stop(drainMilliseconds);
  }

  // Made when somebody connects: many pods mount the volume before they use it.
  #sds(): SdsServer {
    const { deps, hasRoom, names, openBundle, validator } = this.#options;
    this.#server ??= new SdsServer({
      names,
      validator,
      openBundle,
      limits,
      hasRoom,
      deps,
      identify: () => this.#identify(),
    });
    return this.#server;
  }

  #identify(): Principal | Promise<Principal> {
    if (this.#caller !== undefined) return this.#principal(this.#caller);
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #principal({ claims, spiffeId, tokenHash }: Caller): Principal {
    const { workloads } = this.#options;
    return {
      spiffeId,
      key: tokenHash,
      isTrusted: () => true,
      who: { spiffeId: spiffeId.toString(), pod: `${claims.namespace}/${claims.podName}` },
      openSvid: (onChange, onEnd) => {
        if (this.#caller === undefined) throw new TypeError("a principal has a token");
        return workloads.subscribe(
          this.#caller,
          {
            onChange,
            onEnd: (error) => {
              // The fresh token comes from the kubelet, not from whoever connects anew.
              if (error.code !== "token-expired") onEnd(error);
            },
          },
          "kubelet",
        );
      },
    };
  }
}

interface Place {
  readonly socket: ListeningSocket;
  /** Held open, so that every later step is about this very directory. */
  readonly directory: number;
}

async function takePlace(
  target: VolumeTarget,
  { deps }: PodSocketOptions,
  connect: (connection: Socket) => void,
): Promise<Place> {
  const directory = openDirectory(target.path);
  try {
    const path = `/proc/self/fd/${directory}`;
    // What an agent left that lost its power in the middle of this: nobody else writes here.
    for (const name of readdirSync(path)) {
      if (name !== socketName) rmSync(join(path, name), { recursive: true, force: true });
    }
    const socket = await listenOnSocket({
      // Shorter than the whole path, which can be too long for a socket, and no part of it can be swapped on the way.
      path: join(path, socketName),
      shownPath: join(target.path, socketName),
      mode: socketMode,
      maxConnections,
      log: deps.log,
      onConnection: connect,
    });
    return { socket, directory };
  } catch (error) {
    closeSync(directory);
    throw error;
  }
}

function leavePlace({ directory, socket }: Place, options: { readonly keepFile: boolean }): void {
  socket.close(options);
  closeSync(directory);
}

function openDirectory(path: string): number {
  try {
    mkdirSync(path, { mode: directoryMode });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw unavailable(path, cause);
  }
  try {
    const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    fchmodSync(directory, directoryMode);
    return directory;
  } catch (cause) {
    throw unavailable(path, cause);
  }
}

/**
 * Removes a pod's directory and what is in it, if it is there.
 * @throws SignetError `socket-unavailable` when it stays
 */
export function removeDirectory(path: string): void {
  try {
    // Links in it are removed, never followed.
    rmSync(path, { recursive: true, force: true });
  } catch (cause) {
    throw new SignetError(
      "socket-unavailable",
      `${path} cannot be removed: ${asSignetError(cause, "socket-unavailable").message}`,
      { cause },
    );
  }
}

function unavailable(path: string, cause: unknown): SignetError {
  const { message } = asSignetError(cause, "socket-unavailable");
  return new SignetError("socket-unavailable", `the volume's directory ${path} cannot be used: ${message}`, { cause });
}
