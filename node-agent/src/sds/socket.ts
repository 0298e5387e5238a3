import { randomBytes } from "node:crypto";
import { accessSync, constants, linkSync, lstatSync, type Stats, statSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";

// sun_path of sockaddr_un on Linux, less its terminating zero.
const maxPathBytes = 107;
const liveCheckMilliseconds = 1_000;
const backlog = 4_096;

export interface SocketOptions {
  readonly path: string;
  readonly mode: number;
  readonly log: Logger;
  readonly onConnection: (socket: Socket) => void;
}

export interface ListeningSocket {
  /** Takes no more connections, and takes the file away unless somebody else's is there by now. */
  close(): void;
}

/**
 * Listens on a Unix socket that is at its path with its mode from the first moment.
 * @throws SignetError `socket-unavailable` where it cannot be, `socket-in-use` where another process serves it
 */
export async function listenOnSocket({ path, mode, log, onConnection }: SocketOptions): Promise<ListeningSocket> {
  checkPath(path);
  checkDirectory(path, log);
  await clearStale(path, log);

  const server = createServer({ pauseOnConnect: false }, onConnection);
  // Bound under another name first: closing a server removes the name that it was bound to, whoever's that is by then.
  const bound = join(dirname(path), temporaryName(basename(path)));
  await bind(server, bound, mode, path);
  try {
    // A link, unlike a rename, never replaces what has come to be there meanwhile.
    linkSync(bound, path);
  } catch (cause) {
    server.close();
    if (isErrno(cause, "EEXIST")) throw inUse(path);
    throw unavailable(path, `it cannot be put into its directory (${reasonOf(cause)})`, cause);
  }
  unlinkSync(bound);
  const own = lstatSync(path);
  server.on("error", (error) => log.error({ reason: error.message }, "socket"));
  return {
    close: () => {
      if (isSame(own, lookAt(path))) unlinkSync(path);
      else log.warn({ path }, "the socket is not ours any more; left where it is");
      server.close();
    },
  };
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxPathBytes) return;
  throw unavailable(path, `its path has ${bytes} bytes, a Unix socket can have ${maxPathBytes}; choose a shorter one`);
}

function checkDirectory(path: string, log: Logger): void {
  const directory = dirname(path);
  let stats: Stats;
  try {
    stats = statSync(directory);
  } catch (cause) {
    throw unavailable(
      path,
      `the directory ${directory} is not there (${reasonOf(cause)}); create it, or mount it into this container`,
      cause,
    );
  }
  if (!stats.isDirectory()) throw unavailable(path, `${directory} is no directory`);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unavailable(path, `the directory ${directory} cannot be written to (${reasonOf(cause)}); ${mend}`, cause);
  }
  if ((stats.mode & 0o1002) === 0o0002) {
    log.warn({ directory }, "everybody may replace the socket: its directory is world-writable without the sticky bit");
  }
}

const mend = "mount it writable, or give it to the user that the agent runs as";

// A socket that refuses connections was left behind by a process that is gone. Anything else is somebody's.
async function clearStale(path: string, log: Logger): Promise<void> {
  const there = lookAt(path);
  if (there === undefined) return;
  if (!there.isSocket()) throw unavailable(path, "something that is no socket is there; remove it if it is not needed");
  const answer = await tryConnect(path);
  if (answer === "ENOENT") return;
  if (answer === "EACCES" || answer === "EPERM") {
    throw unavailable(path, "a socket of another user is there; remove it, or run as that user");
  }
  if (answer !== "ECONNREFUSED") throw inUse(path);
  if (!isSame(there, lookAt(path))) throw inUse(path);
  unlinkSync(path);
  log.info({ path }, "took the place of a socket that nobody serves any more");
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

function bind(server: Server, bound: string, mode: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(unavailable(path, `its directory takes no socket (${reasonOf(cause)}); ${mend}`, cause));
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

// As long as the final name where that is short, so that it fits wherever the final one does.
function temporaryName(final: string): string {
  const random = randomBytes(8).toString("hex");
  return final.length > 4 ? `.${random.slice(0, Math.min(final.length - 1, 12))}` : random.slice(0, final.length);
}

function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
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

function unavailable(path: string, reason: string, cause?: unknown): SignetError {
  return new SignetError("socket-unavailable", `socket ${path} cannot be made: ${reason}`, { cause });
}

function inUse(path: string): SignetError {
  return new SignetError(
    "socket-in-use",
    `socket ${path} is served by another process; stop that one first, or choose another path with --socket`,
  );
}
