import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
} from "node:fs";
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
  readonly deps: Deps;
}

// An Envoy needs one connection, or as many as it has worker threads, and a stream for each place that names a secret. A pod
// that opens more hurts itself alone: what the agent spends on one pod is bounded.
const maxConnections = 16;
const maxStreams = 256;
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
  /** Held open, so that every later step is about this very directory. */
  readonly #directory: number;
  #listening: ListeningSocket | undefined;
  #server: SdsServer | undefined;
  #caller: Caller | undefined;
  readonly #waiting = new Set<(principal: Principal) => void>();

  private constructor(target: VolumeTarget, directory: number, options: PodSocketOptions) {
    this.target = target;
    this.#directory = directory;
    this.#options = options;
  }

  /**
   * Listens in the pod's directory, which is made if it is not there.
   * @throws SignetError `socket-unavailable`, `socket-in-use`
   */
  static async open(target: VolumeTarget, options: PodSocketOptions): Promise<PodSocket> {
    const socket = new PodSocket(target, openDirectory(target.path), options);
    try {
      // What an agent left that lost its power in the middle of this: nobody else writes here.
      for (const name of readdirSync(socket.#place)) {
        if (name !== socketName) rmSync(join(socket.#place, name), { recursive: true, force: true });
      }
      socket.#listening = await listenOnSocket({
        // Shorter than the whole path, which can be too long for a socket, and no part of it can be swapped on the way.
        path: join(socket.#place, socketName),
        shownPath: join(target.path, socketName),
        mode: socketMode,
        maxConnections,
        log: options.deps.log,
        onConnection: (connection) => socket.#sds().connect(connection),
      });
    } catch (error) {
      closeSync(socket.#directory);
      throw error;
    }
    return socket;
  }

  get caller(): Caller | undefined {
    return this.#caller;
  }

  /** Whether the pod would still find the socket: the directory is the one at the path, and the socket is in it. */
  get isInPlace(): boolean {
    try {
      const held = fstatSync(this.#directory);
      const there = lstatSync(this.target.path);
      return held.ino === there.ino && held.dev === there.dev && lstatSync(join(this.#place, socketName)).isSocket();
    } catch {
      return false;
    }
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
    this.#listening?.close(options);
    this.#listening = undefined;
    this.#waiting.clear();
    await this.#server?.stop(drainMilliseconds);
    closeSync(this.#directory);
  }

  get #place(): string {
    return `/proc/self/fd/${this.#directory}`;
  }

  // Made when somebody connects: many pods mount the volume before they use it.
  #sds(): SdsServer {
    const { deps, names, openBundle, validator } = this.#options;
    this.#server ??= new SdsServer({
      names,
      validator,
      openBundle,
      maxStreams,
      deps,
      identify: () => this.#identify(),
    });
    return this.#server;
  }

  #identify(): Principal | Promise<Principal> {
    if (this.#caller !== undefined) return this.#principal(this.#caller);
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #principal({ claims, spiffeId }: Caller): Principal {
    const { workloads } = this.#options;
    return {
      spiffeId,
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
