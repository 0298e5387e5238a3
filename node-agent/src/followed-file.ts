import { readFileSync, statSync } from "node:fs";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";

export interface FollowedFileOptions<Value> {
  readonly file: string;
  /** What it is, for messages: the key of the setting that names it. */
  readonly setting: string;
  /** Makes of the text what is wanted. May throw SignetError. */
  readonly read: (text: string) => Value;
  readonly log: Logger;
}

/**
 * A file that somebody else replaces. It is looked at when its value is needed and read when it has changed: a kubelet
 * replaces files by renaming, which watches of single files miss. While it cannot be read, or is cut short as on a full
 * disk, the value from before stays, and that is logged once for each reason.
 */
export class FollowedFile<Value> {
  readonly #options: FollowedFileOptions<Value>;
  #seen: string;
  #value: Value;
  #fault: string | undefined;

  /** @throws SignetError `config-invalid` when the first reading fails */
  constructor(options: FollowedFileOptions<Value>) {
    this.#options = options;
    this.#seen = this.#fingerprint();
    this.#value = this.#read();
  }

  current(): Value {
    const { file, log, setting } = this.#options;
    try {
      const now = this.#fingerprint();
      if (now === this.#seen) {
        this.#fault = undefined;
        return this.#value;
      }
      this.#value = this.#read();
      this.#seen = now;
      this.#fault = undefined;
      log.info({ file, setting }, "file read again");
    } catch (error) {
      const { code, message } = asSignetError(error, "config-invalid");
      if (this.#fault !== message) {
        log.warn({ file, setting, code, reason: message }, "file cannot be read; its contents from before stay in use");
      }
      this.#fault = message;
    }
    return this.#value;
  }

  #fingerprint(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.#options.file);
      return `${ino}:${mtimeMs}:${size}`;
    } catch (cause) {
      throw this.#unusable(cause);
    }
  }

  #read(): Value {
    let text: string;
    try {
      text = readFileSync(this.#options.file, "utf8");
    } catch (cause) {
      throw this.#unusable(cause);
    }
    return this.#options.read(text);
  }

  #unusable(cause: unknown): SignetError {
    const { file, setting } = this.#options;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    return new SignetError("config-invalid", `${setting}: ${file}: it cannot be read (${code})`, { cause });
  }
}
