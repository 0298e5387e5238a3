import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { atExit } from "./at-exit.ts";

export interface ProgramOptions {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Takes both outputs; appended to, so that a restarted program keeps its story. */
  readonly logFile: string;
}

const running = new Set<Program>();
let guarded = false;
let closed = false;

/** A child process in a process group of its own, so that Ctrl-C reaches it only through us. */
export class Program {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Settles when the process has ended. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  private constructor(options: ProgramOptions, child: ChildProcess, pid: number) {
    this.name = options.name;
    this.logFile = options.logFile;
    this.pid = pid;
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.once("exit", () => {
        running.delete(this);
        resolve();
      });
    });
  }

  static async start(options: ProgramOptions): Promise<Program> {
    if (closed) throw new Error(`${options.name} is not started: everything is being stopped`);
    killAllAtExit();
    const log = openSync(options.logFile, "a", 0o600);
    try {
      const child = spawn(options.command, options.args, {
        stdio: ["ignore", log, log],
        detached: true,
        ...(options.env === undefined ? {} : { env: options.env }),
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      });
      const spawned = new Promise<void>((resolve, reject) => {
        child.once("spawn", () => resolve());
        child.once("error", (cause) => reject(new Error(`cannot start ${options.name}: ${cause.message}`, { cause })));
      });
      // Known before anything is waited for, so that it is ended too when this process ends right now.
      const program = child.pid === undefined ? undefined : new Program(options, child, child.pid);
      if (program !== undefined) running.add(program);
      await spawned;
      if (program === undefined) throw new Error(`cannot start ${options.name}`);
      return program;
    } finally {
      closeSync(log);
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** For `giveUp` of a poll: an error when the program has ended, with the end of its log. */
  readonly failure = (): Error | undefined => {
    if (this.isRunning) return undefined;
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    return new Error(`${this.name} ended (${how}); the end of its log:\n${this.tail()}`);
  };

  /** Waits for a program that was just started, by a poll that gives up with it; ends it where that fails. */
  async ready(poll: (giveUp: { readonly giveUp: Program["failure"] }) => Promise<unknown>): Promise<void> {
    try {
      await poll({ giveUp: this.failure });
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  tail(lines = 15): string {
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Ends the process and waits for it; one that has not left after `patience` ms is killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM", patience = 8_000): Promise<void> {
    if (this.isRunning) {
      this.signal(signal);
      const timer = new AbortController();
      const late = sleep(patience, undefined, { signal: timer.signal, ref: false }).then(
        () => this.signal("SIGKILL"),
        () => undefined,
      );
      await this.ended;
      timer.abort();
      await late;
    }
    // What the program itself may have started is in its group.
    this.signal("SIGKILL");
  }

  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone already.
    }
  }
}

/** Stops every program that this process started and that still runs, and lets no other start: for the very end. */
export async function stopAll(): Promise<void> {
  closed = true;
  await Promise.all([...running].map((program) => program.stop()));
}

/** Children in their own groups outlive us unless we end them, however we end. The first start of a program does this. */
export function killAllAtExit(): void {
  if (guarded) return;
  guarded = true;
  atExit(() => {
    for (const program of running) program.signal("SIGKILL");
  });
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error with its error output when it does not end with 0 */
export function runToEnd(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string; readonly input?: string } = {},
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: "pipe",
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}: ${output.stderr.trim()}`));
    });
    child.stdin.on("error", () => undefined).end(options.input ?? "");
  });
}
