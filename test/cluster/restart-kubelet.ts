import { spawn } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runToEnd } from "../support/processes.ts";
import { kubectl } from "./kubectl.ts";

/** Ends the kubelet of the (first) node and starts it again: kind's by systemd, CI's by its own command line. */
export async function restartKubelet(): Promise<void> {
  const context = (await kubectl("config", "current-context")).trim();
  if (context.startsWith("kind-")) {
    const node = `${context.slice("kind-".length)}-control-plane`;
    await runToEnd("docker", ["exec", node, "systemctl", "restart", "kubelet"]);
    return;
  }
  const folder = process.env.CLUSTER_DIR ?? dirname(process.env.KUBECONFIG ?? "");
  const pidFile = join(folder, "kubelet.pid");
  const pid = Number(readFileSync(pidFile, "utf8"));
  const [command = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  if (!args.includes("kubelet")) throw new Error(`${pidFile} does not name a kubelet: ${command} ${args.join(" ")}`);
  process.kill(pid, "SIGTERM");
  while (isRunning(pid)) await sleep(100);
  const log = openSync(join(folder, "kubelet.log"), "a");
  const child = spawn(command, args, { detached: true, stdio: ["ignore", log, log] });
  child.unref();
  writeFileSync(pidFile, `${child.pid}\n`);
}

function isRunning(pid: number): boolean {
  try {
    // A process that ended and was not waited for is still there, as a zombie.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
