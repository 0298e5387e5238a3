import { closeSync, openSync, readFileSync } from "node:fs";

/** Who wants another connection; the kubelet's and single pods' are bounded otherwise, the shared socket is not. */
export type ConnectionKind = "shared" | "pod";

// Connections to CAs, name look-ups, files that are read anew, admin routes, sockets made again.
const mostForItself = 64;
// Three for each of 250 pods, for as many on the shared socket, and some.
const plenty = 2_048;

/**
 * Keeps clients from using up the file descriptors of this process (RLIMIT_NOFILE). A third of the limit, at most 64,
 * is the agent's own; where pods have sockets of their own, half of the rest is out of the shared socket's reach, so
 * that it starves neither them nor the kubelet. A connection for which there is no room takes the place of one for
 * which nobody vouches, or is closed at once; those that are there go on, and so does asking the CA.
 */
export class FileDescriptors {
  /** undefined where it is not known or there is none. */
  readonly limit: number | undefined;
  readonly #bounds: Readonly<Record<ConnectionKind, number>>;

  /** @param hasPods whether there are sockets of single pods */
  constructor(hasPods: boolean, limit: number | undefined = readLimit()) {
    this.limit = limit;
    const all = limit ?? Number.POSITIVE_INFINITY;
    const pod = all - Math.min(mostForItself, Math.floor(all / 3));
    this.#bounds = { pod, shared: hasPods ? Math.min(pod, Math.floor(pod / 2) + mostForItself) : pod };
  }

  /** Whether a full node may run out of them. */
  get isTight(): boolean {
    return this.limit !== undefined && this.limit < plenty;
  }

  /**
   * Whether one connection more leaves enough; called when it is there already. The kernel gives the lowest number that
   * is free, so that a number tells that all below it are taken.
   */
  hasRoomFor(kind: ConnectionKind): boolean {
    try {
      const lowestFree = openSync("/dev/null", "r");
      closeSync(lowestFree);
      return lowestFree <= this.#bounds[kind];
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      return code !== "EMFILE" && code !== "ENFILE";
    }
  }
}

// Node has raised the soft limit to the hard one by the time that this runs.
function readLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
