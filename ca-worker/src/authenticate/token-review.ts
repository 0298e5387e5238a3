import { toHex } from "@signet/shared/base64";
import type { Awaitable, Clock } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import type { ServiceAccountClaims } from "@signet/shared/service-account";
import type { Crypto } from "../crypto.ts";
import { refusalOf } from "./review-status.ts";

/** Asks whether a token holds still: that its pod, node and service account are there as it says. */
export interface TokenReview {
  /**
   * @param claims of this very token, whose signature was verified
   * @throws SignetError `token-not-accepted`, or `issuer-unavailable` where nobody could be asked
   */
  check(token: string, claims: ServiceAccountClaims): Awaitable<void>;
}

export interface CachedReviewOptions {
  /** Audiences of which a token needs one: the CA's own, from its configuration, never the token's. */
  readonly audiences: readonly string[];
  /** How long a token that was accepted is not asked about again. */
  readonly cacheSeconds: number;
  /**
   * Gives `status` of a TokenReview of the token for those audiences, not looked into yet.
   * @throws SignetError `issuer-unavailable`
   */
  readonly review: (token: string, audiences: readonly string[]) => Promise<unknown>;
  /** Whether a request may wait for what another one has begun. Workers forbid it. */
  readonly mayWait: boolean;
  readonly clock: Clock;
  readonly crypto: Pick<Crypto, "sha256">;
}

// A token once refused hardly ever becomes good; but an API server may be a moment behind its cluster.
const refusedSeconds = 1;
// One for each pod that asks within the cache's time; an attacker can only make others be asked about again.
const maxCached = 4_096;
// Two of the largest batches. What is more has to come again rather than to pile up before an API server that hangs.
const maxInFlight = 512;
// Longer than a review can take. On Workers the request that began one may be gone before it ends.
const leaseSeconds = 10;

interface Verdict {
  readonly refusal: string | undefined;
  readonly until: number;
}

const utf8 = new TextEncoder();

/** TokenReview with a short memory, found by the hash of a token's whole text. Nothing that fails counts as an answer. */
export class CachedReview implements TokenReview {
  readonly #options: CachedReviewOptions;
  readonly #verdicts = new Map<string, Verdict>();
  readonly #inFlight = new Map<symbol, number>();
  /** By the token's hash; only where requests may wait for each other. */
  readonly #asking = new Map<string, { readonly verdict: Promise<Verdict>; readonly until: number }>();

  constructor(options: CachedReviewOptions) {
    this.#options = options;
  }

  async check(token: string, claims: ServiceAccountClaims): Promise<void> {
    const { clock, crypto } = this.#options;
    const key = toHex(await crypto.sha256(utf8.encode(token)));
    const known = this.#verdicts.get(key);
    if (known !== undefined && known.until > clock()) return accept(known);
    accept(await this.#once(key, () => this.#ask(key, token, claims)));
  }

  /** A token that many bring at once is asked about once: it must not take the places of others. */
  async #once(key: string, ask: () => Promise<Verdict>): Promise<Verdict> {
    const { clock, mayWait } = this.#options;
    if (!mayWait) return ask();
    const known = this.#asking.get(key);
    if (known !== undefined && known.until > clock()) return known.verdict;
    const asking = { verdict: ask(), until: clock() + leaseSeconds };
    this.#asking.set(key, asking);
    try {
      return await asking.verdict;
    } finally {
      if (this.#asking.get(key) === asking) this.#asking.delete(key);
    }
  }

  async #ask(key: string, token: string, claims: ServiceAccountClaims): Promise<Verdict> {
    const { audiences, review, cacheSeconds, clock } = this.#options;
    const status = await this.#bounded(() => review(token, audiences));
    const refusal = refusalOf(status, claims, audiences);
    const verdict = { refusal, until: clock() + (refusal === undefined ? cacheSeconds : refusedSeconds) };
    this.#remember(key, verdict);
    return verdict;
  }

  #remember(key: string, verdict: Verdict): void {
    // Deleted first, so that it stands last: the oldest is the first to go.
    this.#verdicts.delete(key);
    const oldest = this.#verdicts.size >= maxCached ? this.#verdicts.keys().next().value : undefined;
    if (oldest !== undefined) this.#verdicts.delete(oldest);
    this.#verdicts.set(key, verdict);
  }

  async #bounded<Result>(ask: () => Promise<Result>): Promise<Result> {
    const now = this.#options.clock();
    if (this.#inFlight.size >= maxInFlight) {
      for (const [one, until] of this.#inFlight) if (until <= now) this.#inFlight.delete(one);
    }
    if (this.#inFlight.size >= maxInFlight) {
      throw new SignetError("issuer-unavailable", `${maxInFlight} token reviews are under way`, {
        retryAfterSeconds: 1,
      });
    }
    const one = Symbol();
    this.#inFlight.set(one, now + leaseSeconds);
    try {
      return await ask();
    } finally {
      this.#inFlight.delete(one);
    }
  }
}

function accept({ refusal }: Verdict): void {
  if (refusal !== undefined) throw new SignetError("token-not-accepted", `token review: ${refusal}`);
}
