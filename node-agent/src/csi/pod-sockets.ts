import { SignetError } from "@signet/shared/errors";
import { PodSocket, type PodSocketOptions, removeDirectory } from "./pod-socket.ts";
import type { PublishRequest } from "./publish-request.ts";
import type { VolumeTarget } from "./target.ts";

/**
 * The sockets of all pods of this node. Publishing and unpublishing can be repeated in any order and as often as the
 * kubelet likes; steps for one volume never run into each other.
 */
export class PodSockets {
  readonly #options: PodSocketOptions;
  /** By path of the volume. */
  readonly #sockets = new Map<string, PodSocket>();
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
      (await this.#open(target)).present(caller);
    });
  }

  /**
   * Makes the socket of a pod that was there before this agent; its token is still to come.
   * @throws SignetError as {@link publish}
   */
  async restore(target: VolumeTarget): Promise<void> {
    await this.#inTurn(target, async () => {
      await this.#open(target);
    });
  }

  /**
   * Takes the pod's socket away, and with the pod's last one all that there is of the pod.
   * @throws SignetError `socket-unavailable` when something of it stays on the disk
   */
  async unpublish(target: VolumeTarget): Promise<void> {
    await this.#inTurn(target, async () => {
      await this.#drop(target, { keepFile: false });
      removeDirectory(target.path);
      const others = [...this.#sockets.values()].some((other) => other.target.podUid === target.podUid);
      if (!others) this.#options.workloads.discard(target.podUid);
    });
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
    if (known?.isInPlace === true) return known;
    if (known !== undefined) {
      this.#options.deps.log.warn({ path: target.path }, "a pod's socket was taken away; it is made again");
      await this.#drop(target, { keepFile: true });
    }
    const socket = await PodSocket.open(target, this.#options);
    if (known?.caller !== undefined) socket.present(known.caller);
    this.#sockets.set(target.path, socket);
    return socket;
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
