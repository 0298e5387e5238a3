import type { Refusal } from "./message.ts";
import { shown } from "./shown.ts";
import type { SdsStreamOptions } from "./stream-options.ts";

// A client answers in order and at once; what is older than this many is never going to be answered.
const maxUnanswered = 16;
const namesShown = 10;

/**
 * A request as an answer to a response: `first` on a stream that has sent nothing, when a nonce can only be one of a
 * former stream; `unasked` without a nonce; `newest` and `stale` by whether its response was the last.
 */
export type AnswerTo = "first" | "unasked" | "newest" | "stale";

/** A client's request, as far as it is an answer to a response. */
interface Answer {
  readonly responseNonce: string;
  /** Present when the client refuses the response. */
  readonly errorDetail?: Refusal | undefined;
}

/**
 * The responses of one stream: one on its way at a time, each with a nonce of its own, each accepted or refused once.
 * While a client does not read, changes gather behind the one that is on its way.
 */
export class Replies {
  readonly #options: Pick<SdsStreamOptions, "send" | "deps" | "who">;
  /** Gives the next message, or undefined when nothing is to be said. */
  readonly #compose: (nonce: string) => Uint8Array | undefined;
  /** By nonce, since when the client has had it. */
  readonly #unanswered = new Map<string, number>();
  #sent = 0;
  #sending = false;
  #closed = false;
  /** Since when there has been something to say. */
  #dueSince: number | undefined;

  constructor(
    options: Pick<SdsStreamOptions, "send" | "deps" | "who">,
    compose: (nonce: string) => Uint8Array | undefined,
  ) {
    this.#options = options;
    this.#compose = compose;
  }

  /** Says what there is to say, now or as soon as the client has taken what was said before. */
  flush(): void {
    if (this.#closed) return;
    this.#dueSince ??= seconds();
    if (this.#sending) return;
    const dueSince = this.#dueSince;
    this.#dueSince = undefined;
    const nonce = String(this.#sent + 1);
    const message = this.#compose(nonce);
    if (message === undefined) return;
    this.#sent++;
    this.#sending = true;
    this.#await(nonce);
    const { deps, send } = this.#options;
    deps.metrics.pushes++;
    send(message, () => {
      const now = seconds();
      deps.metrics.pushSeconds.observe(now - dueSince);
      if (this.#unanswered.has(nonce)) this.#unanswered.set(nonce, now);
      this.#sending = false;
      if (this.#dueSince !== undefined) this.flush();
    });
  }

  /**
   * Takes a request as an answer, and counts it. A refusal is told by its detail alone: versions say nothing sure. It
   * changes nothing here, because what was refused once will be refused again; the client keeps what it has until the
   * content changes.
   * @param names what the client wants, for the log
   */
  answered({ responseNonce, errorDetail }: Answer, names: readonly string[]): AnswerTo {
    if (this.#sent === 0) return "first";
    if (responseNonce === "") return "unasked";
    const since = this.#unanswered.get(responseNonce);
    if (since !== undefined) {
      this.#unanswered.delete(responseNonce);
      this.#count(seconds() - since, errorDetail, names);
    }
    return responseNonce === String(this.#sent) ? "newest" : "stale";
  }

  close(): void {
    this.#closed = true;
    this.#unanswered.clear();
  }

  #await(nonce: string): void {
    this.#unanswered.set(nonce, seconds());
    const [oldest] = this.#unanswered.keys();
    if (this.#unanswered.size > maxUnanswered && oldest !== undefined) this.#unanswered.delete(oldest);
  }

  #count(took: number, refusal: Refusal | undefined, names: readonly string[]): void {
    const { deps, who } = this.#options;
    deps.metrics.ackSeconds.observe(took);
    if (refusal === undefined) {
      deps.metrics.acks++;
      return;
    }
    deps.metrics.nacks++;
    deps.log.warn(
      { ...who, names: names.slice(0, namesShown), status: refusal.code, reason: shown(refusal.message) },
      "Envoy refuses a secret",
    );
  }
}

// Durations, which a step of the wall clock must not touch.
const seconds = () => performance.now() / 1_000;
