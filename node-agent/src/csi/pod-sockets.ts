import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import { PodSocket, type PodSocketOptions, removeDirectory } from "./pod-socket.ts";
import type { PublishRequest } from "./publish-request.ts";
import type { VolumeTarget } from "./target.ts";

const checkSeconds = 10;
// The agent before may still be leaving.
const restoreAgainSeconds = 1;

/**
 * The sockets of all pods of this node. Publishing and unpublishing can be repeated in any order and as often as the
 * kubelet likes; steps for one volume never run into each other.
 */
export class PodSockets {
  readonly #options: PodSocketOptions;
  /** By path of the volume. */
  readonly #sockets = new Map<string, PodSocket>();
  /** Why they cannot be made again. */
  readonly #lost = new WeakMap<PodSocket, string>();
  /** Of pods that were there before this agent and whose socket could not be made yet; by path. */
  readonly #unrestored = new Map<string, VolumeTarget>();
  readonly #turns = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(options: PodSocketOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Sockets whose pod's token has not come yet. */
  get withoutToken(): number {
    let count = 0;
    for (const { caller } of this.#sockets.values()) if (caller === undefined) count++;
    return count;
  }

  /**
   * Makes the pod's socket, or takes a fresh token for it.
   * @throws SignetError `socket-unavailable`, `socket-in-use`
   */
  async publish({ target, caller }: PublishRequest): Promise<void> {
    await this.#inTurn(target, async () => {
      const known = this.#sockets.get(target.path);
      // Before all else: streams that are there renew with it even where their socket cannot be made again.
      known?.present(caller);
      const socket = await this.#open(target);
      if (socket !== known) socket.present(caller);
    });
  }

  /**
   * Makes the socket of a pod that was there before this agent; its token is still to come. {@link keep} tries again
   * what fails.
   * @throws SignetError as {@link publish}
   */
  async restore(target: VolumeTarget): Promise<void> {
    this.#unrestored.set(target.path, target);
    await this.#inTurn(target, async () => {
      // The kubelet may have published it meanwhile, or taken it down.
      if (this.#unrestored.has(target.path)) await this.#open(target);
    });
  }

  /**
   * Takes the pod's socket away, and with the pod's last one all that there is of the pod.
   * @throws SignetError `socket-unavailable` when something of it stays on the disk
   */
  async unpublish(target: VolumeTarget): Promise<void> {
    await this.#inTurn(target, async () => {
      this.#unrestored.delete(target.path);
      await this.#drop(target, { keepFile: false });
      removeDirectory(target.path);
      const others = [...this.#sockets.values()].some((other) => other.target.podUid === target.podUid);
      if (!others) this.#options.workloads.discard(target.podUid);
    });
  }

  /**
   * Makes sockets again that were taken away, or could not be restored, before the kubelet publishes their volumes
   * again. Looks for them every 10 s, with one lstat for each: a watch for each pod would use up the node's inotify
   * instances. What fails is tried again with the next round and logged once for each reason; streams that are there
   * live on.
   */
  keep(agenda: Agenda): void {
    const look = async () => {
      for (const target of [...this.#unrestored.values()]) {
        if (this.#unrestored.has(target.path)) await this.restore(target).catch(() => undefined);
      }
      for (const socket of [...this.#sockets.values()]) if (!socket.isInPlace) await this.#mend(socket);
      plan();
    };
    let rounds = 0;
    const plan = () => {
      const soon = Math.min(checkSeconds, restoreAgainSeconds * ++rounds);
      agenda.after(this.#unrestored.size > 0 ? soon : checkSeconds, () => void look());
    };
    plan();
  }

  /** Ends every stream and leaves the sockets where they are: their pods go on, and the next agent takes them over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#turns.values()]);
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    await Promise.all(sockets.map((socket) => socket.close({ keepFile: true })));
  }

  async #open(target: VolumeTarget): Promise<PodSocket> {
    const known = this.#sockets.get(target.path);
    if (known !== undefined) {
      if (!known.isInPlace) await this.#openAgain(known);
      return known;
    }
    const socket = await PodSocket.open(target, this.#options);
    this.#sockets.set(target.path, socket);
    this.#unrestored.delete(target.path);
    return socket;
  }

  async #openAgain(socket: PodSocket): Promise<void> {
    const { log, metrics } = this.#options.deps;
    const { podUid, path } = socket.target;
    await socket.openAgain();
    this.#lost.delete(socket);
    metrics.socketRestored("pod");
    log.warn({ podUid, path }, "a pod's socket was taken away; made it again");
  }

  async #mend(socket: PodSocket): Promise<void> {
    const { podUid, path } = socket.target;
    try {
      await this.#inTurn(socket.target, async () => {
        if (this.#sockets.get(path) === socket && !socket.isInPlace) await this.#openAgain(socket);
      });
    } catch (caught) {
      const { code, message } = asSignetError(caught, "internal");
      if (this.#stopped || this.#lost.get(socket) === message) return;
      this.#lost.set(socket, message);
      this.#options.deps.log.error(
        { podUid, code, reason: message },
        "a pod's socket is gone and cannot be made again",
      );
    }
  }

  async #drop(target: VolumeTarget, options: { readonly keepFile: boolean }): Promise<void> {
    const socket = this.#sockets.get(target.path);
    this.#sockets.delete(target.path);
    await socket?.close(options);
  }

  async #inTurn(target: VolumeTarget, step: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(target.path) ?? Promise.resolve();
    const own = before.then(async () => {
      if (this.#stopped) throw new SignetError("socket-unavailable", "the agent is stopping");
      await step();
    });
    const settled = own.catch(() => undefined);
    this.#turns.set(target.path, settled);
    try {
      await own;
    } finally {
      if (this.#turns.get(target.path) === settled) this.#turns.delete(target.path);
    }
  }
}
