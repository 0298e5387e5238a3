import { type ChildProcess, spawn } from "node:child_process";
import { until } from "../support/poll.ts";

export interface LoadOptions {
  readonly namespace: string;
  readonly urls: readonly string[];
}

// The shell in the pod ends when its output can no longer be written; the wait keeps two cores for the rest.
const loop = (urls: readonly string[]) =>
  `while :; do for url in ${urls.join(" ")}; do ` +
  `curl -s -o /dev/null -m 10 -w '%{http_code} %{errormsg}\\n' "$url" || true; done; sleep 0.02; done`;

/** Requests from a sleep pod, one after another without an end, and what became of them. */
export class Load {
  requests = 0;
  /** What was no 200. */
  readonly failures: string[] = [];
  readonly #child: ChildProcess;
  #rest = "";
  #ended: string | undefined;
  #stopping = false;

  private constructor({ namespace, urls }: LoadOptions) {
    const target = ["exec", "deploy/sleep", "-c", "sleep", "-n", namespace, "--", "sh", "-c", loop(urls)];
    this.#child = spawn("kubectl", target, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    let errors = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    this.#child.once("close", (code) => {
      this.#ended = `kubectl exec ended with ${code}: ${errors.trim()}`;
    });
  }

  /** Starts it and waits for the first answers. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    await load.untilMore(3);
    return load;
  }

  /** Waits for so many further requests, so that what was done before lies under load. */
  async untilMore(count: number): Promise<void> {
    const goal = this.requests + count;
    await until(`${count} requests`, () => this.requests >= goal, {
      within: 60_000,
      giveUp: () => (this.#ended === undefined || this.#stopping ? undefined : new Error(this.#ended)),
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
    await until("the load to end", () => this.#ended !== undefined);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      this.requests++;
      if (line.trim() !== "200") this.failures.push(line.trim());
    }
  }
}
