import { randomBytes } from "node:crypto";
import { accessSync, constants, linkSync, lstatSync, rmSync, type Stats, statSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";

// sun_path of sockaddr_un on Linux, less its terminating zero.
const maxPathBytes = 107;
const liveCheckMilliseconds = 1_000;
const longestClaimMilliseconds = 2_000;
const backlog = 4_096;

export interface SocketOptions {
  readonly path: string;
  /** What the path is called in messages, where it is not the one that people know. */
  readonly shownPath?: string;
  readonly mode: number;
  /** Connections that may be open at once; further ones are closed at once. */
  readonly maxConnections?: number;
  readonly log: Logger;
  readonly onConnection: (socket: Socket) => void;
}

export interface ListeningSocket {
  /** Whether what is at `path` now is this very socket; at the path that it was made for, unless told another. */
  isAt(path?: string): boolean;
  /**
   * Takes no more connections, and takes the file away unless somebody else's is there by now.
   * @param keepFile leaves the file, so that a client still sees that something belongs there
   */
  close(options?: { readonly keepFile?: boolean }): void;
}

/**
 * Listens on a Unix socket that is at its path with its mode from the first moment.
 * @throws SignetError `socket-unavailable` where it cannot be, `socket-in-use` where another process serves it
 */
export async function listenOnSocket(options: SocketOptions): Promise<ListeningSocket> {
  const { path, shownPath = path, mode, maxConnections, log, onConnection } = options;
  const place: Place = { path, shown: shownPath };
  checkPath(place);
  checkDirectory(place, log);
  await clearStale(place, log);

  const server = createServer({ pauseOnConnect: false }, onConnection);
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  // Bound under another name first: closing a server removes the name that it was bound to, whoever's that is by then.
  const bound = join(dirname(path), temporaryName(path));
  await bind(server, bound, mode, place);
  try {
    // A link, unlike a rename, never replaces what has come to be there meanwhile.
    linkSync(bound, path);
  } catch (cause) {
    server.close();
    if (isErrno(cause, "EEXIST")) throw inUse(place);
    const code = reasonOf(cause);
    throw unavailable(place, `it cannot be put into its directory (${code}); ${mends[code] ?? mend}`, cause);
  }
  unlinkSync(bound);
  const own = lstatSync(path);
  server.on("error", (error) => log.error({ reason: error.message }, "socket"));
  // While it is open its inode is not given to another file, so that the number tells them apart.
  const isAt = (where = path) => isSame(own, lookAt(where));
  return {
    isAt,
    close: ({ keepFile = false } = {}) => {
      if (!keepFile) {
        if (isAt()) removeOwn(path, log);
        else log.warn({ path: shownPath }, "the socket is not ours any more; left where it is");
      }
      server.close();
    },
  };
}

interface Place {
  readonly path: string;
  readonly shown: string;
}

function checkPath(place: Place): void {
  const { path } = place;
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxPathBytes) return;
  throw unavailable(place, `its path has ${bytes} bytes, a Unix socket can have ${maxPathBytes}; choose a shorter one`);
}

function checkDirectory(place: Place, log: Logger): void {
  const directory = dirname(place.shown);
  let stats: Stats;
  try {
    stats = statSync(dirname(place.path));
  } catch (cause) {
    throw unavailable(
      place,
      `the directory ${directory} is not there (${reasonOf(cause)}); create it, or mount it into this container`,
      cause,
    );
  }
  if (!stats.isDirectory()) throw unavailable(place, `${directory} is no directory`);
  // What is mounted is still to be seen after it was deleted where it came from, but takes nothing any more.
  if (stats.nlink === 0) {
    throw unavailable(place, `the directory ${directory} was deleted where it is mounted from; restart this container`);
  }
  try {
    accessSync(dirname(place.path), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unavailable(place, `the directory ${directory} cannot be written to (${reasonOf(cause)}); ${mend}`, cause);
  }
  if ((stats.mode & 0o1002) === 0o0002) {
    log.warn({ directory }, "everybody may replace the socket: its directory is world-writable without the sticky bit");
  }
}

const mend = "mount it writable, or give it to the user that the agent runs as";
const mends: Readonly<Record<string, string>> = {
  ENOSPC: "its disk is full: free space or inodes",
  EDQUOT: "its disk's quota is used up: free space",
  EMFILE: "raise the limit of open files (LimitNOFILE=, ulimit -n)",
  ENFILE: "the machine has no more open files to give (fs.file-max)",
};

// A socket that refuses connections was left behind by a process that is gone. Anything else is somebody's.
async function clearStale(place: Place, log: Logger): Promise<void> {
  const { path, shown } = place;
  const there = lookAt(path);
  if (there === undefined) return;
  if (!there.isSocket())
    throw unavailable(place, "something that is no socket is there; remove it if it is not needed");
  const answer = await tryConnect(path);
  if (answer === "ENOENT") return;
  if (answer === "EACCES" || answer === "EPERM") {
    throw unavailable(place, "a socket of another user is there; remove it, or run as that user");
  }
  if (answer !== "ECONNREFUSED") throw inUse(place);
  removeStale(place, there);
  log.info({ path: shown }, "took the place of a socket that nobody serves any more");
}

// Several agents can see the same stale socket at once, and a file cannot be removed on condition that it is still the
// one that was looked at. So who gives it a second name first may remove it: one of them alone can make that link, and
// it shows what there was at the path at that moment.
function removeStale(place: Place, stale: Stats): void {
  const { path } = place;
  const claim = join(dirname(path), `.${basename(path)}.stale`);
  const left = lookAt(claim);
  // Whoever made it lost its power in the next moment: it is not held for longer than a few system calls.
  if (left !== undefined && Math.abs(Date.now() - left.ctimeMs) > longestClaimMilliseconds) {
    rmSync(claim, { force: true });
  }
  try {
    linkSync(path, claim);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return;
    if (isErrno(cause, "EEXIST")) throw inUse(place);
    const code = reasonOf(cause);
    throw unavailable(
      place,
      `a socket that nobody serves cannot be taken away (${code}); ${mends[code] ?? mend}`,
      cause,
    );
  }
  try {
    const claimed = lookAt(claim);
    // The number alone does not do here: nobody holds a stale socket's inode, so that it is soon another's.
    if (!isSame(stale, claimed) || stale.mtimeMs !== claimed?.mtimeMs) throw inUse(place);
    unlinkSync(path);
  } finally {
    rmSync(claim, { force: true });
  }
}

// Stopping goes on without it: the next agent finds it stale.
function removeOwn(path: string, log: Logger): void {
  try {
    unlinkSync(path);
  } catch (error) {
    log.warn({ path, reason: reasonOf(error) }, "the socket cannot be taken away; nobody serves it any more");
  }
}

/** The error code with which a connection failed, or a word for how it did not. */
function tryConnect(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle("hangs"), liveCheckMilliseconds);
    socket.once("connect", () => settle("connected"));
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? "failed"));
  });
}

function bind(server: Server, bound: string, mode: number, place: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const code = reasonOf(cause);
      reject(unavailable(place, `its directory takes no socket (${code}); ${mends[code] ?? mend}`, cause));
    });
    server.once("listening", () => {
      server.removeAllListeners("error");
      resolve();
    });
    // listen() binds before it returns, so nothing else of this process sees the mask.
    const before = process.umask(0o777 & ~mode);
    try {
      server.listen({ path: bound, backlog });
    } finally {
      process.umask(before);
    }
  });
}

// There is room for it, since there is for the final name, which is no longer than what is left of the path.
function temporaryName(path: string): string {
  const room = Math.min(13, maxPathBytes - Buffer.byteLength(dirname(path)) - 1);
  const random = randomBytes(8).toString("hex");
  return room > 4 ? `.${random.slice(0, room - 1)}` : random.slice(0, room);
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // Below something that is no directory any more, or in one that cannot be entered.
    return undefined;
  }
}

function isSame(own: Stats, other: Stats | undefined): boolean {
  return other !== undefined && own.ino === other.ino && own.dev === other.dev && other.isSocket();
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function reasonOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function unavailable({ shown }: Place, reason: string, cause?: unknown): SignetError {
  return new SignetError("socket-unavailable", `socket ${shown} cannot be made: ${reason}`, { cause });
}

function inUse({ shown }: Place): SignetError {
  return new SignetError(
    "socket-in-use",
    `socket ${shown} is served by another process; stop that one first, or choose another path with --socket`,
  );
}
