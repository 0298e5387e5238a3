import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { EnvoyAdmin } from "./envoy-admin.ts";
import { until } from "./poll.ts";
import { Program } from "./processes.ts";

export interface EnvoyOptions {
  readonly binary: string;
  readonly name: string;
  readonly folder: string;
  readonly adminPort: number;
  readonly bootstrap: object;
  /** Where relative paths in the bootstrap begin. */
  readonly cwd?: string;
}

/** One real Envoy; it can be stopped and started again with the same configuration. */
export class EnvoyProcess {
  readonly admin: EnvoyAdmin;
  readonly name: string;
  readonly #options: EnvoyOptions;
  readonly #logFile: string;
  readonly #configFile: string;
  #program: Program | undefined;

  constructor(options: EnvoyOptions) {
    this.#options = options;
    this.name = options.name;
    this.admin = new EnvoyAdmin(options.adminPort);
    this.#logFile = join(options.folder, `${options.name}.envoy.log`);
    this.#configFile = join(options.folder, `${options.name}.envoy.yaml`);
  }

  get pid(): number | undefined {
    return this.#program?.pid;
  }

  tail(): string {
    return this.#program?.tail() ?? "";
  }

  /** An error with the end of its log, when it was started and has ended. */
  failure(): Error | undefined {
    return this.#program?.failure();
  }

  /** Starts it; the port of its application opens when its secrets are there, for which {@link untilReady} waits. */
  async start(): Promise<void> {
    await writeFile(this.#configFile, stringify(this.#options.bootstrap, { aliasDuplicateObjects: false }));
    this.#program = await Program.start({
      name: `Envoy ${this.name}`,
      command: this.#options.binary,
      args: [
        ...["--config-path", this.#configFile],
        // One worker thread is enough, and nothing of it is shared with another Envoy on this machine.
        ...["--concurrency", "1", "--disable-hot-restart", "--log-level", "info"],
      ],
      logFile: this.#logFile,
      ...(this.#options.cwd === undefined ? {} : { cwd: this.#options.cwd }),
    });
  }

  async untilReady(): Promise<void> {
    await until(`Envoy ${this.name} to have its identity`, () => this.admin.isReady(), this.#giveUp());
  }

  async untilAdminAnswers(): Promise<void> {
    await until(`the admin port of Envoy ${this.name}`, () => this.admin.serverInfo(), this.#giveUp());
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#program?.stop(signal);
  }

  #giveUp() {
    return this.#program === undefined ? {} : { giveUp: this.#program.failure };
  }
}
