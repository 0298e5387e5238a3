import type { PublishedJwk } from "@signet/shared/ca-api";
import type { Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { TokenAlgorithm } from "@signet/shared/token-rules";
import type { KeyDocument } from "./fetch-keys.ts";
import { JwkSet } from "./jwk-set.ts";

/** Where the keys of an issuer come from. */
export interface KeySource {
  /**
   * The key for a token's header, or undefined where the issuer has none.
   * @throws SignetError `issuer-unavailable` when no keys could be had yet, or newer ones are on their way
   */
  find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined>;
  /**
   * All keys, as others may have them to verify with.
   * @throws SignetError `issuer-unavailable` when no keys could be had yet
   */
  published(): Promise<readonly PublishedJwk[]>;
  /**
   * Gets the keys now, where they are missing or old, so that the first token need not wait.
   * @throws SignetError `issuer-unavailable` when no keys could be had yet
   */
  warm(): Promise<void>;
  /** Grows when the keys change: what was verified with older ones must be verified again. */
  readonly generation: number;
  /** When they were last read, in seconds since the epoch; undefined before, and for keys of the configuration. */
  readonly loadedAt: number | undefined;
}

/** Keys that the configuration itself holds. */
export function fixedKeys(keys: JwkSet): KeySource {
  return {
    find: (kid, algorithm) => keys.find(kid, algorithm),
    published: async () => keys.published,
    warm: async () => {},
    generation: 0,
    loadedAt: undefined,
  };
}

// An issuer publishes a new key before it signs with it; looking again more often than this serves only attackers.
const cooldownSeconds = 30;
// While there are no keys at all every request needs them; still not each of them may ask for them.
const firstCooldownSeconds = 5;
// A key that an issuer withdraws should not count for longer, whatever age its cache-control allows. It may ask for less.
const maxAgeSeconds = 600;
const minAgeSeconds = 60;
// An isolate that starts into a burst should not send it all away, nor let each of its requests ask.
const maxFirstLoads = 8;
// Longer than a load can take. On Workers the request that began it may be gone before it ends.
const leaseSeconds = 15;

export interface LoadedKeysOptions {
  readonly issuer: string;
  /** Reads the issuer's JWK Set from where the configuration says. */
  readonly load: () => Promise<KeyDocument>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As {@link Platform.waitUntil}: lets a load go on after its request, and forbids that another one waits for it. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/**
 * Keys that are read from a URL or a file: again after ten minutes, beside the requests, and once in a cooldown for an
 * unknown `kid`. While the place can't be read the keys at hand go on serving. One request reads, and others that need
 * what it reads wait for it; on Workers, which forbid to wait for another request's I/O, they are told to come again.
 */
export class LoadedKeys implements KeySource {
  readonly #options: LoadedKeysOptions;
  #keys: JwkSet | undefined;
  #document = "";
  #loadedAt: number | undefined;
  #freshSeconds = maxAgeSeconds;
  #triedAt = Number.NEGATIVE_INFINITY;
  readonly #leases = new Map<symbol, number>();
  #loading: Promise<JwkSet> | undefined;
  #generation = 0;

  constructor(options: LoadedKeysOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#generation;
  }

  get loadedAt(): number | undefined {
    return this.#loadedAt;
  }

  async warm(): Promise<void> {
    await this.#current();
  }

  async find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
    const keys = await this.#current();
    const key = await keys.find(kid, algorithm);
    if (key !== undefined) return key;
    // Newer ones have come meanwhile.
    if (this.#keys !== undefined && this.#keys !== keys) return this.#keys.find(kid, algorithm);
    if (this.#loads() > 0) return (await this.#join()).find(kid, algorithm);
    if (!this.#cooledDown(cooldownSeconds)) return undefined;
    return (await this.#load()).find(kid, algorithm);
  }

  async published(): Promise<readonly PublishedJwk[]> {
    return (await this.#current()).published;
  }

  /** The keys at hand, after they were read again if it is time. */
  async #current(): Promise<JwkSet> {
    if (this.#keys === undefined) return this.#first();
    // A clock that was set back far makes them due, too.
    const age = Math.abs(this.#options.clock() - (this.#loadedAt ?? 0));
    if (age <= this.#freshSeconds || this.#loads() > 0 || !this.#cooledDown(cooldownSeconds)) return this.#keys;
    // Keys that nobody asked for in a long time may be long withdrawn: those are worth the wait.
    if (age > 2 * this.#freshSeconds) return this.#load();
    void this.#load();
    return this.#keys;
  }

  async #first(): Promise<JwkSet> {
    const loads = this.#loads();
    if (loads > 0 && (this.#mayShare || loads >= maxFirstLoads)) return this.#join();
    const wait = this.#triedAt + firstCooldownSeconds - this.#options.clock();
    if (wait > 0 && wait <= firstCooldownSeconds)
      throw this.#unavailable("they could not be read just now", Math.ceil(wait));
    return this.#load();
  }

  /** What the load under way gives, where one request may wait for another's. */
  #join(): Promise<JwkSet> {
    if (this.#mayShare && this.#loading !== undefined) return this.#loading;
    throw this.#unavailable("they are being read", 1);
  }

  get #mayShare(): boolean {
    return this.#options.waitUntil === undefined;
  }

  /** How many loads are under way. */
  #loads(): number {
    const now = this.#options.clock();
    for (const [lease, until] of this.#leases) if (until <= now) this.#leases.delete(lease);
    return this.#leases.size;
  }

  #cooledDown(seconds: number): boolean {
    return Math.abs(this.#options.clock() - this.#triedAt) > seconds;
  }

  /** Never rejects once there are keys. */
  #load(): Promise<JwkSet> {
    const loading = this.#read();
    this.#loading = loading;
    // Workers end a request whose client hangs up, and all that it has begun: nobody may keep newer keys away by that.
    this.#options.waitUntil?.(loading.catch(() => undefined));
    return loading;
  }

  async #read(): Promise<JwkSet> {
    const { issuer, load, clock, logger } = this.#options;
    const lease = Symbol();
    this.#leases.set(lease, clock() + leaseSeconds);
    try {
      const { document, maxAgeSeconds: age = maxAgeSeconds } = await load();
      const keys = JwkSet.parse(document);
      const text = JSON.stringify(document);
      this.#loadedAt = clock();
      this.#freshSeconds = Math.min(Math.max(age, minAgeSeconds), maxAgeSeconds);
      if (this.#keys !== undefined && text === this.#document) return this.#keys;
      this.#document = text;
      this.#keys = keys;
      this.#generation++;
      logger.info({ event: "issuer-keys", issuer }, "issuer keys loaded");
      return keys;
    } catch (error) {
      const { message } = asSignetError(error, "issuer-unavailable");
      const stale = this.#keys !== undefined;
      logger.warn({ event: "issuer-keys", issuer, error: message, stale }, "issuer keys cannot be loaded");
      if (this.#keys === undefined) throw this.#unavailable(message, firstCooldownSeconds, error);
      return this.#keys;
    } finally {
      this.#triedAt = clock();
      this.#leases.delete(lease);
    }
  }

  #unavailable(reason: string, retryAfterSeconds: number, cause?: unknown): SignetError {
    const message = `keys of issuer ${this.#options.issuer}: ${reason}`;
    return new SignetError("issuer-unavailable", message, { cause, retryAfterSeconds });
  }
}
