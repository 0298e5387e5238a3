import { asSignetError, type SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import { backoffSeconds } from "../ca/backoff.ts";
import { isRefusal } from "../ca/problem.ts";
import type { Cancel, Deps } from "../deps.ts";
import type { Issued } from "./issue.ts";
import { type Effect, type Event, type State, step } from "./life.ts";

export interface LifeOptions {
  /** Sends a request; without one, says why there is no point in it. `retry`: the one before has failed. */
  readonly ask: (retry: boolean) => Promise<Issued> | "alone" | "tokenless";
  /** Puts a certificate to use. @returns when to ask for the next, in seconds since the epoch; undefined for never */
  readonly take: (issued: Issued) => number | undefined;
  /** The CA could not be asked or gave a wrong answer; the next try is planned. */
  readonly onFailed: (error: SignetError, waitSeconds: number) => void;
  /** The CA said no. */
  readonly onRefused: (error: SignetError) => void;
  /** A request is due, and every token has expired. */
  readonly onTokenless?: () => void;
  /** Seconds until a refused or tokenless one looks again; undefined for never. */
  readonly againSeconds: number | undefined;
  /** Most seconds to wait after a failure, where the CA itself does not ask for more. */
  readonly maxWaitSeconds?: () => number;
  readonly agenda: Agenda;
  readonly deps: Pick<Deps, "random" | "now">;
}

/** What came with an event. */
type Cause = { readonly issued: Issued } | { readonly error: SignetError } | undefined;

/** Runs the state machine of `life.ts`: one request is out at a time, and one thing is planned at a time. */
export class LifeMachine {
  readonly #options: LifeOptions;
  #state: State = "idle";
  /** Tries in a row that have brought nothing. */
  #failures = 0;
  #planned: { readonly at: number; readonly cancel: Cancel } | undefined;
  /** The CA itself asked for the time that is waited now. */
  #toldToWait = false;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  get state(): State {
    return this.#state;
  }

  /** After a request that brought nothing: when the next is due, in seconds since the epoch. */
  get nextTryAt(): number | undefined {
    return this.#state === "held" || this.#state === "landing" ? undefined : this.#planned?.at;
  }

  /** A stream has come. */
  attached(): void {
    this.#on("attached");
  }

  /** A token has come that a request can be sent with. */
  tokenCame(): void {
    this.#on("token");
  }

  /** A certificate has come by another way. */
  give(issued: Issued): void {
    this.#on("given", { issued });
  }

  /** Time may have passed that nobody was woken for: looks at what is planned. */
  look(): void {
    if (this.#planned !== undefined && this.#planned.at <= this.#options.deps.now()) this.#due();
  }

  /**
   * Brings what is planned in one of these states forward to a random moment within so many seconds, unless it is
   * sooner already or the CA asked for the time.
   * @returns when it is due now, undefined where nothing was brought forward
   */
  hasten(withinSeconds: number, ...states: readonly ("held" | "landing" | "retrying")[]): number | undefined {
    const { deps } = this.#options;
    const at = deps.now() + withinSeconds * deps.random();
    const isMeant = states.some((state) => state === this.#state);
    if (!isMeant || this.#toldToWait || this.#planned === undefined || this.#planned.at <= at) return undefined;
    this.#plan(at);
    return at;
  }

  stop(): void {
    this.#on("stopped");
  }

  #on(event: Event, cause?: Cause): void {
    const { next, effects } = step(this.#state, event);
    this.#state = next;
    if (cause !== undefined && "issued" in cause && !effects.includes("take")) cause.issued.secret.dispose();
    for (const effect of effects) this.#do(effect, event, cause);
  }

  #do(effect: Effect, event: Event, cause: Cause): void {
    switch (effect) {
      case "ask":
        this.#unplan();
        this.#ask();
        return;
      case "take":
        if (cause !== undefined && "issued" in cause) this.#take(cause.issued);
        return;
      case "wait":
        this.#wait(event, cause);
        return;
      case "part":
        if (cause !== undefined && "error" in cause) this.#options.onRefused(cause.error);
        else this.#options.onTokenless?.();
        return;
      case "cease":
        this.#unplan();
    }
  }

  #ask(): void {
    const request = this.#options.ask(this.#failures > 0);
    if (request instanceof Promise) {
      request.then(
        (issued) => this.#on("issued", { issued }),
        (caught: unknown) => {
          const error = asSignetError(caught, "ca-answer-invalid");
          this.#on(isRefusal(error) ? "refused" : "failed", { error });
        },
      );
      return;
    }
    this.#failures = 0;
    this.#on(request);
  }

  #take(issued: Issued): void {
    this.#failures = 0;
    this.#plan(this.#options.take(issued));
  }

  #wait(event: Event, cause: Cause): void {
    const { againSeconds, deps, maxWaitSeconds, onFailed } = this.#options;
    this.#failures++;
    const error = cause !== undefined && "error" in cause ? cause.error : undefined;
    const told = error?.retryAfterSeconds;
    const backoff = backoffSeconds(this.#failures, deps.random, told);
    if (event === "failed" && error !== undefined) {
      const seconds = told === undefined ? Math.min(backoff, maxWaitSeconds?.() ?? backoff) : backoff;
      this.#plan(deps.now() + seconds);
      this.#toldToWait = told !== undefined;
      onFailed(error, seconds);
    } else this.#plan(againSeconds === undefined ? undefined : deps.now() + againSeconds + backoff);
  }

  #due(): void {
    this.#unplan();
    this.#on("due");
  }

  #plan(at: number | undefined): void {
    this.#unplan();
    if (at === undefined || this.#state === "gone") return;
    this.#planned = { at, cancel: this.#options.agenda.at(at, () => this.#due()) };
  }

  #unplan(): void {
    this.#planned?.cancel();
    this.#planned = undefined;
    this.#toldToWait = false;
  }
}
