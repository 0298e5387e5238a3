import type { Awaitable, Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { TextSource } from "../text-source.ts";
import { type DenyList, parseDenyList } from "./deny-list.ts";

// How soon an entry works. A place that fails is asked again sooner, but not by each request.
const rereadSeconds = 30;
const retrySeconds = 5;
// While one request reads, the others go by the list at hand, unless it is older than this.
const staleSeconds = rereadSeconds + retrySeconds;

export interface DenyListSourceOptions {
  /** What to call it in messages. */
  readonly name: string;
  readonly text: TextSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A deny list that is read on first use and again every 30 s. While it can't be read, or does not hold its form, the
 * last good one goes on denying. Where there was never a good one nothing is signed: nobody knows whom it would deny.
 * No read is shared between requests, since Workers forbid waiting for another request's I/O.
 */
export class DenyListSource {
  readonly #options: DenyListSourceOptions;
  #text: string | undefined;
  #list: DenyList | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure: SignetError | undefined;

  constructor(options: DenyListSourceOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** When it was last read, in seconds since the epoch; undefined before the first time. */
  get loadedAt(): number | undefined {
    return this.#list === undefined ? undefined : this.#loadedAt;
  }

  /** How many there are on it. */
  get entries(): number {
    return Object.values(this.#list ?? {}).reduce((sum, { size }) => sum + size, 0);
  }

  /** @throws SignetError `cannot-sign` where it could never be read */
  current(): Awaitable<DenyList> {
    const now = this.#options.clock();
    // A clock that was set back far makes it due, too.
    const tried = Math.abs(now - this.#triedAt);
    if (this.#list === undefined) {
      if (this.#failure !== undefined && tried < retrySeconds) throw this.#failure;
      return this.#load();
    }
    const age = Math.abs(now - this.#loadedAt);
    if (age < rereadSeconds) return this.#list;
    // Somebody is at it, or has just failed.
    if (tried < retrySeconds && (age < staleSeconds || this.#failure !== undefined)) return this.#list;
    return this.#load();
  }

  async #load(): Promise<DenyList> {
    const { name, text, clock, logger } = this.#options;
    this.#triedAt = clock();
    try {
      const found = await text.read();
      const list = found === this.#text && this.#list !== undefined ? this.#list : parseDenyList(found);
      const changed = list !== this.#list;
      this.#text = found;
      this.#list = list;
      this.#loadedAt = clock();
      const recovered = this.#failure !== undefined;
      this.#failure = undefined;
      if (changed || recovered) {
        logger.info({ event: "deny-list", denyList: name, entries: this.entries }, "deny list loaded");
      }
      return list;
    } catch (error) {
      return this.#fail(asSignetError(error, "source-unavailable"));
    }
  }

  #fail({ message, cause }: SignetError): DenyList {
    const { name, logger } = this.#options;
    const failure = new SignetError("cannot-sign", `the deny list ${name} could never be read: ${message}`, {
      cause,
      retryAfterSeconds: retrySeconds,
    });
    // Once for each way in which it fails.
    if (this.#failure?.message !== failure.message) {
      const fields = { event: "deny-list", denyList: name, error: message, stale: this.#list !== undefined };
      logger.error(fields, "deny list cannot be read");
    }
    this.#failure = failure;
    if (this.#list === undefined) throw failure;
    return this.#list;
  }
}
