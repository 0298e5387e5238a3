import { readFile } from "node:fs/promises";

/** CPU time of this process around a piece of work, in milliseconds for each of `count` runs, `width` at once. */
export async function cpuPerRun(
  run: (index: number) => Promise<unknown>,
  count: number,
  width: number,
): Promise<number> {
  const start = process.cpuUsage();
  for (let at = 0; at < count; at += width) {
    await Promise.all(Array.from({ length: Math.min(width, count - at) }, (_, n) => run(at + n)));
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000 / count;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** CPU seconds, user and system, that another process has used; Linux only. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold spaces; user and system time are fields 14 and 15, in ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of another process; Linux only. */
export async function rssMibOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
}
