import {
  closeSync,
  constants,
  type FSWatcher,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  statSync,
  watch,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { asSignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Cancel, Deps } from "../deps.ts";
import { mountRoot } from "./mount-root.ts";
import { type ListeningSocket, listenOnSocket, type SocketOptions } from "./socket.ts";

/** What a socket is for: a label of metrics. */
export type SocketRole = "shared" | "csi" | "registration";

export interface KeptSocketOptions extends SocketOptions {
  readonly role: SocketRole;
  readonly agenda: Agenda;
  readonly deps: Pick<Deps, "log" | "metrics" | "now" | "setTimer">;
  /** It was taken away, and is there again. */
  readonly onRestored?: () => void;
}

/** Why clients cannot connect at a socket's path. */
export interface SocketFault {
  readonly reason: string;
  /** Nothing but a new container mends it: only that mounts the directory anew. */
  readonly restartHelps: boolean;
}

/** The one to act on. */
export function worstFault(faults: readonly (SocketFault | undefined)[]): SocketFault | undefined {
  return faults.find((fault) => fault?.restartHelps === true) ?? faults.find((fault) => fault !== undefined);
}

// A watch tells at once; this finds what a watch does not see, and what there are no watches left for.
const checkSeconds = 5;
const mountCheckSeconds = 60;
// Between two tries, whatever happens in the directory; failures double it.
const shortestRetrySeconds = 1;
const longestRetrySeconds = 30;
// An event comes in the middle of what somebody does there.
const settleSeconds = 0.02;
// A directory that was moved away may be what running pods have mounted; each costs two file descriptors.
const maxFormer = 4;
// An agent that is stopping gives its socket up first of all; one that was killed has given it up already.
const patienceTries = 50;
const patienceMilliseconds = 100;

/**
 * A socket that stays at its path. Connections that are there live on in each of these cases:
 *
 * | what happens                               | what the agent does                                                |
 * | ------------------------------------------ | ------------------------------------------------------------------ |
 * | file removed, or a dead socket there       | makes it again within 0.1 s (without inotify 5 s), once a second   |
 * | directory deleted                          | makes it again with its mode and owner, and the socket in it       |
 * | directory moved away and made anew         | makes the socket in the new one; serves who has the old one, too   |
 * | another's live socket, or another file     | leaves it, reports, and takes the path back once it is free        |
 * | directory not writable, disk full          | reports, and tries again after 1 s, 2 s, ... 30 s                  |
 * | mounted directory deleted on the host      | reports, and that only a new container helps                       |
 * | mounted directory moved on the host        | reports within a minute; goes on for pods that have it mounted     |
 *
 * What cannot be mended is logged once for each reason and told by {@link fault}.
 */
export class KeptSocket {
  readonly #options: KeptSocketOptions;
  readonly #directoryPath: string;
  #current: Held;
  #former: Held[] = [];
  #fault: SocketFault | undefined;
  #failures = 0;
  #triedAt = Number.NEGATIVE_INFINITY;
  #restoring = false;
  #closed = false;
  #watcher: FSWatcher | undefined;
  #cancelCheck: Cancel | undefined;
  #mountRoot: string | undefined;
  #mountCheckedAt = 0;
  #mountFault: SocketFault | undefined;

  private constructor(options: KeptSocketOptions, current: Held) {
    this.#options = options;
    this.#directoryPath = dirname(options.path);
    this.#current = current;
    this.#mountRoot = mountRoot(this.#directoryPath);
    this.#watch();
    this.#plan(checkSeconds);
  }

  /**
   * Listens at the path; waits up to 5 s for another process that is about to give it up.
   * @throws SignetError `socket-unavailable`, `socket-in-use` as {@link listenOnSocket}
   */
  static async listen(options: KeptSocketOptions): Promise<KeptSocket> {
    for (let tries = 1; ; tries++) {
      try {
        return new KeptSocket(options, await hold(options));
      } catch (caught) {
        const error = asSignetError(caught, "socket-unavailable");
        if (error.code !== "socket-in-use" || tries === patienceTries) throw error;
        const { log, setTimer } = options.deps;
        if (tries === 1)
          log.warn({ socket: options.path }, "another process serves the socket; waiting for it to stop");
        await new Promise<void>((resolve) => setTimer(resolve, patienceMilliseconds));
      }
    }
  }

  /** Why a client that connects now would not get here; looked up at this moment. */
  get fault(): SocketFault | undefined {
    if (this.#current.socket.isAt()) return this.#mountFault;
    return this.#fault ?? { reason: `socket ${this.#options.path} was taken away a moment ago`, restartHelps: false };
  }

  close(): void {
    this.#closed = true;
    this.#cancelCheck?.();
    this.#watcher?.close();
    for (const former of this.#former.splice(0)) release(former, { keepFile: true });
    release(this.#current);
  }

  #plan(seconds: number): void {
    this.#cancelCheck?.();
    this.#cancelCheck = this.#options.agenda.after(seconds, () => void this.#check());
  }

  // The directory as it is now; without watches to be had, the checks alone must do.
  #watch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      const watcher = watch(this.#directoryPath, { persistent: false }, () => {
        if (this.#closed || this.#restoring || this.#current.socket.isAt()) return;
        const { now } = this.#options.deps;
        const wait = Math.min(shortestRetrySeconds, this.#triedAt + shortestRetrySeconds - now());
        this.#plan(Math.max(settleSeconds, wait));
      });
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    } catch (error) {
      const { message } = asSignetError(error, "socket-unavailable");
      this.#options.deps.log.debug({ reason: message }, "the socket's directory cannot be watched; it is looked at");
    }
  }

  async #check(): Promise<void> {
    this.#checkMount();
    this.#former = this.#former.filter((former) => {
      const isUsed = former.socket.isAt(former.path);
      if (!isUsed) release(former, { keepFile: true });
      return isUsed;
    });
    if (this.#current.socket.isAt()) this.#recovered();
    else await this.#restore();
    if (!this.#closed) this.#plan(this.#failures === 0 ? checkSeconds : this.#retrySeconds());
  }

  #retrySeconds(): number {
    return Math.min(longestRetrySeconds, shortestRetrySeconds * 2 ** (this.#failures - 1));
  }

  async #restore(): Promise<void> {
    const { deps, onRestored, path, role } = this.#options;
    this.#restoring = true;
    this.#triedAt = deps.now();
    try {
      remakeDirectory(this.#directoryPath, this.#current);
      const next = await hold(this.#options);
      if (this.#closed) {
        release(next);
        return;
      }
      this.#retire(this.#current);
      this.#current = next;
      this.#mountRoot = mountRoot(this.#directoryPath);
      this.#watch();
      this.#recovered();
      deps.metrics.socketRestored(role);
      deps.log.warn({ socket: path }, "the socket was taken away; made it again");
      onRestored?.();
    } catch (caught) {
      if (this.#closed) return;
      const { message } = asSignetError(caught, "socket-unavailable");
      this.#failures++;
      const restartHelps = isDeleted(this.#directoryPath);
      if (this.#fault?.reason !== message) {
        deps.log.error({ socket: path, reason: message, restartHelps }, "the socket is gone and cannot be made again");
      }
      this.#fault = { reason: message, restartHelps };
    } finally {
      this.#restoring = false;
    }
  }

  #recovered(): void {
    this.#failures = 0;
    this.#fault = undefined;
  }

  #retire(held: Held): void {
    this.#former.push(held);
    while (this.#former.length > maxFormer) {
      const oldest = this.#former.shift();
      if (oldest !== undefined) release(oldest, { keepFile: true });
    }
  }

  // The path goes on leading to the directory that was mounted, while new pods get what is at its place on the host.
  #checkMount(): void {
    const { deps, path } = this.#options;
    const now = deps.now();
    const every = this.#mountFault === undefined ? mountCheckSeconds : checkSeconds - 1;
    if (Math.abs(now - this.#mountCheckedAt) < every) return;
    this.#mountCheckedAt = now;
    if (!this.#current.socket.isAt()) return;
    const root = mountRoot(this.#directoryPath);
    if (root === this.#mountRoot) {
      this.#mountFault = undefined;
      return;
    }
    const reason =
      `socket ${path}: its directory was moved on the host after it was mounted here (from ${this.#mountRoot} to ` +
      `${root}); new pods do not find the socket: restart the agent's pod, then the pods that were there before`;
    if (this.#mountFault === undefined) deps.log.error({ socket: path, reason }, "new pods do not find the socket");
    this.#mountFault = { reason, restartHelps: false };
  }
}

/** A listening socket, with a hold on the directory that it is in. */
interface Held {
  readonly socket: ListeningSocket;
  readonly directory: number;
  /** Leads to the socket wherever its directory is moved. */
  readonly path: string;
}

async function hold(options: SocketOptions): Promise<Held> {
  const socket = await listenOnSocket(options);
  try {
    const directory = openSync(dirname(options.path), constants.O_RDONLY | constants.O_DIRECTORY);
    return { socket, directory, path: join(`/proc/self/fd/${directory}`, basename(options.path)) };
  } catch (error) {
    socket.close();
    throw error;
  }
}

function release({ directory, socket }: Held, options?: { readonly keepFile: boolean }): void {
  socket.close(options);
  closeSync(directory);
}

// Only itself, not what is above it, and only where nothing is: it stands for what an administrator had made.
function remakeDirectory(path: string, { directory: former }: Held): void {
  const { gid, mode, uid } = fstatSync(former);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch {
    return;
  }
  const made = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const { gid: ownGid, uid: ownUid } = fstatSync(made);
    if (uid !== ownUid || gid !== ownGid) fchownSync(made, uid, gid);
    fchmodSync(made, mode & 0o7777);
  } finally {
    closeSync(made);
  }
}

function isDeleted(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false })?.nlink === 0;
}
