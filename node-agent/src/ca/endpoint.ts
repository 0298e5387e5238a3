import type { SignetError } from "@signet/shared/errors";
import type { Deps } from "../deps.ts";
import { backoffSeconds, renewalWaitSeconds } from "./backoff.ts";
import type { CaEndpointView } from "./endpoint-view.ts";

// A CA that takes no batches, or no large ones, may be replaced by one that does.
const batchesAgainSeconds = 600;

export interface EndpointOptions {
  /** As it may be shown. */
  readonly url: string;
  /** Most items of one request; 1 for none but single ones. */
  readonly maxBatch: number;
}

/**
 * The health of one URL of the CA.
 *
 * | state   | event               | next                                                                |
 * | ------- | ------------------- | ------------------------------------------------------------------- |
 * | untried | success             | healthy                                                             |
 * | untried | failure             | failing, set aside for a backoff                                    |
 * | healthy | failure             | failing, set aside for a backoff                                    |
 * | failing | backoff is over     | failing, open for one request, the trial ("half-open")              |
 * | failing | trial succeeds      | healthy                                                             |
 * | failing | trial is no request | healthy, but the next failure counts on from those before           |
 * |         | for a certificate   |                                                                     |
 * | failing | trial fails         | failing, set aside for a longer backoff                             |
 * | failing | late failure        | failing, no change: it was sent before the endpoint was set aside   |
 * | failing | late success        | healthy                                                             |
 */
export class Endpoint {
  readonly url: string;
  readonly #deps: Pick<Deps, "log" | "monotonic" | "now" | "random">;
  readonly #maxBatch: number;
  #state: CaEndpointView["state"] = "untried";
  #failures = 0;
  /** By the monotonic clock: a wall clock that is set back must not keep it aside. */
  #dueAt = 0;
  /** The same by the wall clock, for people. */
  #retryAt = 0;
  /** The CA itself asked for the time that is waited now. */
  #toldToWait = false;
  #onTrial = false;
  #lastSuccessAt: number | undefined;
  #lastFailureAt: number | undefined;
  #lastError: SignetError | undefined;
  /** Most items of the next request. */
  #batch: number;
  /** Items of the smallest request that failed since the last success; undefined once one for a single item did, too. */
  #failedItems: number | undefined;
  /** What {@link #batch} may grow to, for a while. */
  #ceiling: { readonly items: number; readonly until: number };

  constructor({ url, maxBatch }: EndpointOptions, deps: Pick<Deps, "log" | "monotonic" | "now" | "random">) {
    this.url = url;
    this.#deps = deps;
    this.#maxBatch = maxBatch;
    this.#batch = maxBatch;
    this.#ceiling = { items: maxBatch, until: 0 };
  }

  get view(): CaEndpointView {
    const error = this.#lastError;
    return {
      url: this.url,
      state: this.#state,
      ...(this.#lastSuccessAt === undefined ? {} : { lastSuccessAt: this.#lastSuccessAt }),
      ...(this.#lastFailureAt === undefined ? {} : { lastFailureAt: this.#lastFailureAt }),
      ...(error === undefined ? {} : { lastError: { code: error.code, message: error.message } }),
      ...(this.#state === "failing" ? { retryAt: this.#retryAt } : {}),
    };
  }

  get lastError(): SignetError | undefined {
    return this.#lastError;
  }

  /** Takes any number of requests. */
  get isOpen(): boolean {
    return this.#state !== "failing";
  }

  /** Takes one request, the trial. */
  get isDue(): boolean {
    return this.#state === "failing" && !this.#onTrial && this.#dueAt <= this.#deps.monotonic();
  }

  /** Seconds until it takes a trial, if nothing else happens before; undefined while it is open or on trial. */
  get dueInSeconds(): number | undefined {
    return this.#state === "failing" && !this.#onTrial ? this.#dueAt - this.#deps.monotonic() : undefined;
  }

  /** Times that it failed since it last succeeded. */
  get failures(): number {
    return this.#failures;
  }

  /** Most items of the next request. */
  get batchLimit(): number {
    const { items, until } = this.#ceiling;
    return until > this.#deps.monotonic() ? Math.min(this.#batch, items) : this.#batch;
  }

  beginTrial(): void {
    this.#onTrial = true;
  }

  /** Somebody needs it before `seconds` are over: it is not set aside so long that this cannot be, unless the CA asked. */
  hasten(seconds: number): void {
    if (this.#state !== "failing" || this.#toldToWait || seconds <= 0) return;
    const { monotonic, random } = this.#deps;
    const sooner = this.#dueAt - monotonic() - renewalWaitSeconds(seconds, random);
    if (sooner <= 0) return;
    this.#dueAt -= sooner;
    this.#retryAt -= sooner;
  }

  /** It takes no batches. */
  refusedBatch(): void {
    this.#limitBatches(1);
    this.#deps.log.info({ caUrl: this.url }, "the CA takes no batches; certificates are asked for one by one");
  }

  /** An answer to a request for certificates can be used; a refusal of the CA is one too. */
  succeeded(items: number): void {
    this.answered();
    this.#failures = 0;
    // Fewer went well where more had failed: each instance of the CA may have little time for a request.
    if (this.#failedItems !== undefined && items < this.#failedItems) this.#limitBatches(items);
    this.#failedItems = undefined;
    if (items >= this.#batch) this.#batch = Math.min(this.#maxBatch, this.#batch * 2);
  }

  /** It answers; whether it can sign as well, which it may have failed at, is another matter. */
  answered(): void {
    if (this.#state === "failing") this.#deps.log.info({ caUrl: this.url }, "the CA answers again");
    this.#state = "healthy";
    this.#onTrial = false;
    this.#lastSuccessAt = this.#deps.now();
  }

  /**
   * @param trial whether it was the trial of an endpoint that is set aside: of such a one no other failure counts
   * @param items of the request: too many of them may have been the reason
   */
  failed(error: SignetError, trial: boolean, items: number): void {
    const { log, monotonic, now, random } = this.#deps;
    this.#failedItems = items > 1 ? items : undefined;
    if (items > 1) this.#batch = Math.ceil(items / 2);
    this.#lastError = error;
    this.#lastFailureAt = now();
    if (this.#state === "failing" && !trial) return;
    this.#state = "failing";
    this.#onTrial = false;
    this.#failures++;
    const waitSeconds = backoffSeconds(this.#failures, random, error.retryAfterSeconds);
    this.#dueAt = monotonic() + waitSeconds;
    this.#retryAt = now() + waitSeconds;
    this.#toldToWait = error.retryAfterSeconds !== undefined;
    log.warn({ caUrl: this.url, code: error.code, reason: error.message, waitSeconds }, "the CA is set aside");
  }

  #limitBatches(items: number): void {
    this.#ceiling = { items, until: this.#deps.monotonic() + batchesAgainSeconds };
  }
}
