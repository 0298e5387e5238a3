import type { PublishedJwk } from "@signet/shared/ca-api";
import type { Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { TokenAlgorithm } from "@signet/shared/token-rules";
import { JwkSet } from "./jwk-set.ts";

/** Where the keys of an issuer come from. */
export interface KeySource {
  /**
   * The key for a token's header, or undefined where the issuer has none.
   * @throws SignetError `issuer-unavailable` when no keys could be had yet
   */
  find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined>;
  /**
   * All keys, as others may have them to verify with.
   * @throws SignetError `issuer-unavailable` when no keys could be had yet
   */
  published(): Promise<readonly PublishedJwk[]>;
  /** Gets the keys now, where that takes a request, so that the first token need not wait. */
  warm(): Promise<void>;
  /** Grows when the keys change: what was verified with older ones must be verified again. */
  readonly generation: number;
}

/** Keys that the configuration itself holds. */
export function fixedKeys(keys: JwkSet): KeySource {
  return {
    find: (kid, algorithm) => keys.find(kid, algorithm),
    published: async () => keys.published,
    warm: async () => {},
    generation: 0,
  };
}

// An issuer publishes a new key before it signs with it; looking again more often than this serves only attackers.
const cooldownSeconds = 30;
const maxAgeSeconds = 600;

export interface LoadedKeysOptions {
  readonly issuer: string;
  /** Reads the issuer's JWK Set from where the configuration says. */
  readonly load: () => Promise<unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Keys that are read from a URL or a file: again after ten minutes, and once in a cooldown for an unknown `kid`. While
 * the place can't be read the keys at hand go on serving. No read is shared between requests, since Workers forbid
 * waiting for another request's I/O.
 */
export class LoadedKeys implements KeySource {
  readonly #options: LoadedKeysOptions;
  #keys: JwkSet | undefined;
  #document = "";
  #loadedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #generation = 0;

  constructor(options: LoadedKeysOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#generation;
  }

  async warm(): Promise<void> {
    await this.#load();
  }

  async find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
    await this.#refresh();
    const key = await this.#keys?.find(kid, algorithm);
    if (key !== undefined || !this.#cooledDown()) return key;
    await this.#load();
    return this.#keys?.find(kid, algorithm);
  }

  async published(): Promise<readonly PublishedJwk[]> {
    await this.#refresh();
    return this.#keys?.published ?? [];
  }

  async #refresh(): Promise<void> {
    if (this.#keys === undefined || (this.#age() > maxAgeSeconds && this.#cooledDown())) await this.#load();
  }

  #age(): number {
    return this.#options.clock() - this.#loadedAt;
  }

  #cooledDown(): boolean {
    return this.#options.clock() - this.#triedAt > cooldownSeconds;
  }

  async #load(): Promise<void> {
    const { issuer, load, clock, logger } = this.#options;
    this.#triedAt = clock();
    try {
      const document = await load();
      const keys = JwkSet.parse(document);
      const text = JSON.stringify(document);
      this.#loadedAt = clock();
      if (text === this.#document) return;
      this.#document = text;
      this.#keys = keys;
      this.#generation++;
      logger.info({ event: "issuer-keys", issuer }, "issuer keys loaded");
    } catch (error) {
      const { message } = asSignetError(error, "issuer-unavailable");
      logger.warn(
        { event: "issuer-keys", issuer, error: message, stale: this.#keys !== undefined },
        "issuer keys cannot be loaded",
      );
      if (this.#keys === undefined) {
        throw new SignetError("issuer-unavailable", `keys of issuer ${issuer}: ${message}`, {
          cause: error,
          retryAfterSeconds: 5,
        });
      }
    }
  }
}
