import { readdir, readFile } from "node:fs/promises";

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

/** CPU seconds of the threads that another process has now, in nanosecond steps; Linux only. */
export async function threadSecondsOf(pid: number): Promise<number> {
  let nanoseconds = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    nanoseconds += Number((await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8")).split(" ")[0]);
  }
  return nanoseconds / 1e9;
}

/** The process of this name among all that a process has started; Linux only. */
export async function descendantOf(pid: number, name: string): Promise<number> {
  for (const waiting = [pid]; waiting.length > 0; ) {
    const one = waiting.shift() as number;
    if ((await readFile(`/proc/${one}/comm`, "utf8")).trim() === name) return one;
    for (const thread of await readdir(`/proc/${one}/task`)) {
      const children = await readFile(`/proc/${one}/task/${thread}/children`, "utf8");
      waiting.push(...children.split(" ").filter(Boolean).map(Number));
    }
  }
  throw new Error(`process ${pid} has started no ${name}`);
}
