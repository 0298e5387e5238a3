import { readFileSync, realpathSync } from "node:fs";

/**
 * Which directory of its file system the mount that holds `directory` shows, as the kernel names it at this moment. It
 * follows a directory that is moved on the host, and ends with `//deleted` once that is deleted (proc_pid_mountinfo(5),
 * field 4): the only sign of it that can be seen in a container.
 * @returns undefined where that cannot be known
 */
export function mountRoot(path: string): string | undefined {
  let directory: string;
  let text: string;
  try {
    directory = realpathSync(path);
    text = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return undefined;
  }
  let root: string | undefined;
  let longest = -1;
  for (const line of text.split("\n")) {
    const [, , , from, point] = line.split(" ");
    if (from === undefined || point === undefined) continue;
    const mountPoint = unescaped(point);
    const holds = mountPoint === "/" || directory === mountPoint || directory.startsWith(`${mountPoint}/`);
    // A later line lies over an earlier one.
    if (holds && mountPoint.length >= longest) {
      longest = mountPoint.length;
      root = unescaped(from);
    }
  }
  return root;
}

// Space, tab, newline and backslash stand there in octal.
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
