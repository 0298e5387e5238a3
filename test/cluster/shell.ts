import { spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { repoRoot } from "../support/repo.ts";

export interface ShellResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Shows a person what is done: the command as one would type it, then what it says. */
export function say(text: string): void {
  process.stdout.write(`${text.replace(/\n?$/, "\n")}`);
}

export function chapter(title: string): void {
  say(`\n## ${title}\n`);
}

/**
 * Runs a script in bash as a person would at the root of the checkout, with this Node and our programs on PATH, and shows
 * it with its output.
 */
export async function tryShell(script: string, { quiet = false } = {}): Promise<ShellResult> {
  if (!quiet) say(`$ ${script}`);
  const path = [dirname(process.execPath), `${repoRoot}/node_modules/.bin`, process.env.PATH].join(delimiter);
  const result = await new Promise<ShellResult>((resolve, reject) => {
    const child = spawn("bash", ["-c", script], {
      cwd: repoRoot,
      env: { ...process.env, PATH: path },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, ...output }));
  });
  if (!quiet) for (const text of [result.stdout, result.stderr]) if (text !== "") say(text);
  return result;
}

/** As {@link tryShell}; gives the standard output. @throws Error when the script does not end with 0 */
export async function shell(script: string, options: { readonly quiet?: boolean } = {}): Promise<string> {
  const { code, stdout, stderr } = await tryShell(script, options);
  if (code !== 0) throw new Error(`\`${script}\` ended with ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}
