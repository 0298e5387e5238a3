import type { Awaitable, Clock } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { createApp } from "../../app.ts";
import { type Composed, compose, type Platform } from "../../compose.ts";
import { parseConfig } from "../../config.ts";
import type { TextSource } from "../../text-source.ts";
import type { Env } from "./bindings.ts";

/** What an isolate has made of the configuration. */
export interface Instance {
  readonly app: ReturnType<typeof createApp>;
  readonly composed: Composed;
}

const variable = "SIGNET_CONFIG";
// As everything else that is kept in KV.
const rereadSeconds = 30;
const retrySeconds = 5;
// Longer than KV takes. The request that began to read may be gone before that ends.
const leaseSeconds = 10;

/**
 * The instances of an isolate, one after the other: of the configuration in the variable SIGNET_CONFIG (a text, or JSON
 * as such), or, where that names a KV entry as `kv:BINDING/KEY`, of what stands there. That is read again twice a minute;
 * a new one that is not valid is told in the log and does not replace the one that serves.
 */
export class Instances {
  readonly #platform: Platform;
  readonly #place: string;
  readonly #source: TextSource | undefined;
  #text: string | undefined;
  #current: Instance | SignetError | undefined;
  #dueAt = Number.NEGATIVE_INFINITY;
  #readingUntil = Number.NEGATIVE_INFINITY;

  /** Makes the instance at once where no I/O is needed for it, so that no request has to. */
  constructor(env: Env, platform: Platform) {
    this.#platform = platform;
    const set = env[variable];
    // A variable of wrangler.jsonc may be JSON itself.
    const value = typeof set === "object" && set !== null ? JSON.stringify(set) : set;
    if (typeof value !== "string") {
      this.#place = variable;
      this.#current = new SignetError("config-invalid", `the variable ${variable} is missing`);
    } else if (value.startsWith("kv:")) {
      this.#place = value;
      this.#source = platform.open(value);
      if (this.#source !== undefined) return;
      this.#current = new SignetError("config-invalid", `${variable}: "${value}" is not bound to this Worker`);
    } else {
      this.#place = variable;
      this.#make(value);
    }
  }

  /** @throws SignetError `config-invalid` or `source-unavailable` */
  current(): Awaitable<Instance> {
    const source = this.#source;
    if (source === undefined) return usable(this.#current);
    const { clock, waitUntil } = this.#platform;
    const now = clock();
    // Whoever has an instance does not wait for another request's reading; whoever has none reads for itself.
    if (this.#current !== undefined && (now < this.#dueAt || now < this.#readingUntil)) return usable(this.#current);
    const reading = this.#read(source, clock);
    // A request ends when its client hangs up: nobody may keep a new configuration away by that.
    waitUntil?.(reading.catch(() => undefined));
    return reading;
  }

  async #read(source: TextSource, clock: Clock): Promise<Instance> {
    this.#readingUntil = clock() + leaseSeconds;
    try {
      const text = await source.read();
      if (text !== this.#text) this.#make(text);
      this.#dueAt = clock() + rereadSeconds;
    } catch (error) {
      this.#dueAt = clock() + retrySeconds;
      this.#tell(asSignetError(error, "source-unavailable"));
    } finally {
      this.#readingUntil = Number.NEGATIVE_INFINITY;
    }
    return usable(this.#current ?? new SignetError("source-unavailable", `${this.#place} cannot be read`));
  }

  #make(text: string): void {
    try {
      const composed = compose(parseConfig(text, this.#place), this.#place, this.#platform);
      this.#current = { app: createApp(composed), composed };
    } catch (error) {
      const known = asSignetError(error, "config-invalid");
      this.#tell(known);
      if (this.#current === undefined || this.#current instanceof SignetError) this.#current = known;
    }
    this.#text = text;
  }

  #tell({ code, message }: SignetError): void {
    const serves = this.#current !== undefined && !(this.#current instanceof SignetError);
    const fields = { event: "config", code, error: message, serves };
    this.#platform.logger.error(fields, serves ? "the configuration before stays" : "the Worker is not configured");
  }
}

function usable(instance: Instance | SignetError | undefined): Instance {
  if (instance === undefined || instance instanceof SignetError) throw instance;
  return instance;
}
