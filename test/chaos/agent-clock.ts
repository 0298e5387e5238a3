import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const library = "faketime/libfaketimeMT.so.1";

/** The library that changes what a program takes for the time; undefined where it is not installed. */
export function findFaketime(): string | undefined {
  const places = ["/usr/lib", "/usr/local/lib", "/usr/lib64"].flatMap((folder) => [
    join(folder, library),
    // Debian puts it under the machine's name, such as x86_64-linux-gnu.
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, library)) : []),
  ]);
  return places.find((place) => existsSync(place));
}

/**
 * The wall clock of one program, which can be put forward and back while it runs. Timers and the monotonic clock go on as
 * they are, as they do on a machine whose clock is set.
 */
export class AgentClock {
  /** To start the program with. */
  readonly environment: NodeJS.ProcessEnv;
  readonly #file: string;
  #offset = 0;

  constructor(folder: string, faketime: string | undefined) {
    this.#file = join(folder, "clock");
    this.#write();
    this.environment =
      faketime === undefined
        ? {}
        : {
            LD_PRELOAD: faketime,
            FAKETIME_TIMESTAMP_FILE: this.#file,
            // A step is seen at once.
            FAKETIME_NO_CACHE: "1",
            DONT_FAKE_MONOTONIC: "1",
            NO_FAKE_STAT: "1",
          };
  }

  /** Seconds by which the program's clock is ahead. */
  get offset(): number {
    return this.#offset;
  }

  set(offset: number): void {
    this.#offset = offset;
    this.#write();
  }

  // The program reads the file whenever it asks for the time, so there is never a moment without it.
  #write(): void {
    writeFileSync(`${this.#file}.next`, `${this.#offset < 0 ? "" : "+"}${this.#offset}\n`);
    renameSync(`${this.#file}.next`, this.#file);
  }
}
