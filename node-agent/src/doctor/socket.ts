import { accessSync, constants, lstatSync, type Stats, statSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { asSignetError } from "@signet/shared/errors";
import { GrpcConnection } from "../fetch/connection.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { type Patient, reasonOf, type Section } from "./section.ts";

// sun_path of sockaddr_un on Linux, less its terminating zero.
const maxPathBytes = 107;
// Istio's agent gives an external SDS socket this long for its handshake, once, at its start.
const handshakeMilliseconds = 1_000;

/** Looks at the socket that the node's pods share. */
export async function examineSocket({
  config,
}: Pick<Patient, "config">): Promise<Section & { readonly isLive: boolean }> {
  const path = config.socket;
  if (path === undefined) {
    return { title: "socket", findings: [ok("off: each pod has a socket of its own (CSI)")], isLive: false };
  }
  const title = `socket ${path}`;
  const bytes = Buffer.byteLength(path);
  const findings: Finding[] = [];
  if (bytes > maxPathBytes) {
    findings.push(
      fail(`its path has ${bytes} bytes, a Unix socket can have ${maxPathBytes}`, "choose a shorter --socket"),
    );
    return { title, findings, isLive: false };
  }
  const directory = examineDirectory(dirname(path));
  findings.push(...directory);
  if (directory.some(({ level }) => level === "fail")) return { title, findings, isLive: false };
  const served = await examineServed(path, config.socketMode);
  return { title, findings: [...findings, ...served.findings], isLive: served.isLive };
}

function examineDirectory(directory: string): Finding[] {
  let stats: Stats;
  try {
    stats = statSync(directory);
  } catch (error) {
    return [
      fail(
        `its directory ${directory} is not there (${reasonOf(error)})`,
        `mkdir -p ${directory}, or mount it into this container (hostPath, type DirectoryOrCreate)`,
      ),
    ];
  }
  const seen = `directory ${directory}: owner ${stats.uid}:${stats.gid}, mode ${octal(stats.mode)}`;
  if (!stats.isDirectory()) return [fail(`${directory} is no directory`, `remove it and mkdir -p ${directory}`)];
  if (stats.nlink === 0) {
    return [
      fail(
        `${directory} was deleted where it is mounted from`,
        "restart the agent's container: only that mounts it anew",
      ),
    ];
  }
  const findings: Finding[] = [];
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    findings.push(ok(`${seen}, writable`));
  } catch (error) {
    const how =
      reasonOf(error) === "EROFS"
        ? "mount it without readOnly into the agent; pods mount it read-only"
        : `give it to the user that the agent runs as: chown ${process.getuid?.() ?? "USER"} ${directory}`;
    findings.push(fail(`${seen}, not writable (${reasonOf(error)})`, how));
  }
  if ((stats.mode & 0o1002) === 0o0002) {
    findings.push(
      warn(
        "everybody may replace the socket: its directory is world-writable without the sticky bit",
        `chmod o-w ${directory}`,
      ),
    );
  }
  return findings;
}

async function examineServed(path: string, mode: number): Promise<{ findings: Finding[]; isLive: boolean }> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { findings: [ok("nothing is at its path: an agent can make it")], isLive: false };
  if (!stats.isSocket()) {
    const mend = stats.isDirectory()
      ? `rmdir ${path}; a pod that mounts the socket itself makes such a directory: mount ${dirname(path)} instead`
      : `look at it, and remove it if nobody needs it: rm ${path}`;
    return { findings: [fail("something that is no socket is at its path", mend)], isLive: false };
  }
  const answer = await tryConnect(path);
  if (answer === "ECONNREFUSED") {
    return {
      findings: [
        warn(
          "a process that is gone left it behind: nobody serves it",
          "start the agent; it takes such a socket's place",
        ),
      ],
      isLive: false,
    };
  }
  if (answer !== undefined) {
    const mend = `it is of user ${stats.uid}, mode ${octal(stats.mode)}: run as that user, or remove it`;
    return { findings: [fail(`it cannot be connected to (${answer})`, mend)], isLive: false };
  }
  return { findings: [examineMode(stats, mode), await examineHandshake(path)], isLive: true };
}

function examineMode({ gid, mode, uid }: Stats, wanted: number): Finding {
  const seen = `a process serves it: owner ${uid}:${gid}, mode ${octal(mode)}`;
  if ((mode & 0o777) === wanted) return ok(seen);
  return warn(
    `${seen}; --socket-mode says ${octal(wanted)}`,
    "restart the agent, or find out who else made or changed it",
  );
}

async function examineHandshake(path: string): Promise<Finding> {
  const start = performance.now();
  try {
    (await GrpcConnection.open(path, handshakeMilliseconds)).close();
    return ok(`it answers the HTTP/2 handshake in ${Math.ceil(performance.now() - start)} ms`);
  } catch (error) {
    return fail(
      asSignetError(error, "agent-unreachable").message,
      "Envoys wait, and Istio's agent would make certificates of its own: see the agent's log, and its CPU limit",
    );
  }
}

/** The error code with which a connection failed, undefined where it did not. */
export function tryConnect(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle("ETIMEDOUT"), handshakeMilliseconds);
    socket.once("connect", () => settle(undefined));
    socket.once("error", (error) => settle(reasonOf(error)));
  });
}

const octal = (mode: number) => `0${(mode & 0o7777).toString(8).padStart(3, "0")}`;
