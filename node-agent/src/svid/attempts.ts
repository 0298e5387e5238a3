import { asSignetError, type SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import { backoffSeconds } from "../ca/backoff.ts";
import { isRefusal } from "../ca/problem.ts";
import type { Cancel, Deps } from "../deps.ts";
import type { Issued } from "./issue.ts";

export interface AttemptsOptions {
  /** One try; undefined when there is no point in trying (any more). */
  readonly attempt: () => Promise<Issued> | undefined;
  readonly onIssued: (issued: Issued) => void;
  /** The CA said no. @returns seconds after which to ask again, undefined to leave it at that */
  readonly onRefused: (error: SignetError) => number | undefined;
  /** The CA could not be asked or gave a wrong answer; the next try is planned already. */
  readonly onFailed: (error: SignetError, waitSeconds: number) => void;
}

/** One flight at a time towards a certificate, through outages, until it is there or there is no point in it. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #agenda: Agenda;
  readonly #deps: Pick<Deps, "random">;
  #failures = 0;
  #flying = false;
  #cancelWait: Cancel | undefined;
  #stopped = false;

  constructor(options: AttemptsOptions, agenda: Agenda, deps: Pick<Deps, "random">) {
    this.#options = options;
    this.#agenda = agenda;
    this.#deps = deps;
  }

  /** Starts a flight unless one is in the air or waits for its next try. */
  start(): void {
    if (!this.#stopped && !this.#flying && this.#cancelWait === undefined) void this.#fly();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelWait?.();
  }

  async #fly(): Promise<void> {
    const flight = this.#options.attempt();
    if (flight === undefined) {
      this.#failures = 0;
      return;
    }
    this.#flying = true;
    let issued: Issued | undefined;
    let failure: SignetError | undefined;
    try {
      issued = await flight;
    } catch (error) {
      failure = asSignetError(error, "ca-answer-invalid");
    }
    this.#flying = false;
    if (this.#stopped) return;
    if (issued !== undefined) {
      this.#failures = 0;
      this.#options.onIssued(issued);
    } else if (failure !== undefined) this.#failed(failure);
  }

  #failed(error: SignetError): void {
    this.#failures++;
    const backoff = backoffSeconds(this.#failures, this.#deps.random, error.retryAfterSeconds);
    if (!isRefusal(error)) {
      this.#wait(backoff);
      this.#options.onFailed(error, backoff);
      return;
    }
    const again = this.#options.onRefused(error);
    if (again !== undefined) this.#wait(again + backoff);
  }

  #wait(seconds: number): void {
    this.#cancelWait = this.#agenda.after(seconds, () => {
      this.#cancelWait = undefined;
      if (!this.#stopped) void this.#fly();
    });
  }
}
