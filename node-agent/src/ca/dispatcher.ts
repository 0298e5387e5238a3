import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Cancel, Deps } from "../deps.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Flight, isRepeat, type Job, type Waiting } from "./flight.ts";
import { Gathering } from "./gathering.ts";
import { faultOf, isAnswer, type Outcome } from "./outcome.ts";
import { attemptMilliseconds } from "./patience.ts";
import { isRefusal } from "./problem.ts";
import type { RetryBudget } from "./retry-budget.ts";

// Measured against a CA on the same machine: more requests at once only make the batches smaller.
const maxRequests = 4;
// Where there are no batches.
const maxSingleRequests = 32;
// Keeps a body under the 1 MiB that many a proxy takes, whatever tokens pods send.
const maxBatchCharacters = 256 * 1024;
// No job waits longer than this, for its turn and for answers taken together.
const totalMilliseconds = 30_000;

export interface DispatcherOptions<Asked extends Job, Result> {
  /** In the order of preference. */
  readonly endpoints: readonly Endpoint[];
  /**
   * One request for one job or more.
   * @returns what became of each; undefined when they must be asked for one by one
   * @throws SignetError what became of all
   */
  readonly send: (
    endpoint: Endpoint,
    jobs: readonly Asked[],
    timeoutMilliseconds: number,
  ) => Promise<readonly Outcome<Result>[] | undefined>;
  /** Tries an endpoint with a small request that nobody waits for. @throws SignetError */
  readonly probe: (endpoint: Endpoint) => Promise<void>;
  readonly budget: RetryBudget;
  readonly agenda: Agenda;
  readonly deps: Pick<Deps, "log" | "metrics" | "monotonic" | "now" | "setTimer">;
  readonly answerMilliseconds?: number;
}

/**
 * Decides what the CA is asked for next, where, and with what it goes together. A job goes to the first endpoint that is
 * open, alone while few are under way, else in a batch; the ones closest to their expiry first. What fails at one endpoint
 * is asked for at the next, if the retry budget allows. While no endpoint is open, jobs wait, and one request at a time
 * finds out whether that has changed, sooner where a renewal has little time left.
 */
export class Dispatcher<Asked extends Job, Result> {
  readonly #options: DispatcherOptions<Asked, Result>;
  readonly #waiting: Waiting<Asked, Result>[] = [];
  readonly #gathering: Gathering;
  #flying = 0;
  #pumping = false;
  #stopped = false;
  #cancelWake: Cancel | undefined;

  constructor(options: DispatcherOptions<Asked, Result>) {
    this.#options = options;
    this.#gathering = new Gathering(() => this.#pump(), options.deps);
  }

  /** @throws SignetError what the last endpoint that was asked said; `ca-unreachable` when none could be in time */
  run(job: Asked): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return;
      const waiting: Waiting<Asked, Result> = {
        ...{ job, resolve, reject, tried: new Set() },
        deadline: performance.now() + totalMilliseconds,
        timer: setTimeout(() => this.#expire(waiting), totalMilliseconds),
      };
      this.#insert(waiting);
      const { deps, endpoints } = this.#options;
      if (job.expiresAt !== undefined) for (const endpoint of endpoints) endpoint.hasten(job.expiresAt - deps.now());
      this.#pumpSoon();
    });
  }

  /** Nobody hears of a job any more that is not settled yet. */
  stop(): void {
    this.#stopped = true;
    this.#cancelWake?.();
    this.#gathering.stop();
    for (const { timer } of this.#waiting.splice(0)) clearTimeout(timer);
  }

  #insert(waiting: Waiting<Asked, Result>): void {
    const { priority } = waiting.job;
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.job.priority ?? 0) > priority) at--;
    this.#waiting.splice(at, 0, waiting);
  }

  #expire(waiting: Waiting<Asked, Result>): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    const last = this.#options.endpoints.find(({ isOpen }) => !isOpen)?.lastError;
    const reason = last === undefined ? "" : `; ${last.message}`;
    const message = `the CA could not be asked within ${totalMilliseconds / 1_000} s${reason}`;
    this.#reject(waiting, new SignetError("ca-unreachable", message));
  }

  // What comes in one after the other in one go may leave together.
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    while (!this.#stopped && this.#waiting.length > 0) {
      const flight = this.#next();
      if (flight === undefined) break;
      void this.#fly(flight);
    }
    // Each flight that lands looks again.
    if (!this.#stopped && this.#waiting.length > 0 && this.#flying < maxRequests) this.#wakeLater();
  }

  /** What goes out now, taken out of the queue; undefined when all have to wait. */
  #next(): Flight<Asked, Result> | undefined {
    const { budget, endpoints } = this.#options;
    if (!endpoints.some(({ isDue, isOpen }) => isOpen || isDue) || this.#isGathering()) return undefined;
    for (const first of this.#waiting) {
      const endpoint = this.#endpointFor(first.tried);
      if (endpoint === undefined) continue;
      const limit = endpoint.batchLimit;
      const slots = limit > 1 ? maxRequests : maxSingleRequests;
      // What is silent must not keep renewals from being sent.
      if (this.#flying >= (first.job.expiresAt === undefined ? slots : 2 * slots)) return undefined;
      const trial = !endpoint.isOpen;
      if ((trial || isRepeat(first)) && !budget.available) {
        this.#holdBack(first);
        continue;
      }
      const group = this.#gather(first, endpoint, limit);
      const taken = new Set(group);
      this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((waiting) => !taken.has(waiting)));
      if (trial) endpoint.beginTrial();
      const repeat = trial || group.some(isRepeat);
      if (repeat) budget.take();
      else budget.deposit();
      return { endpoint, group, trial, repeat };
    }
    return undefined;
  }

  // Repeats, and the tries that find out whether an endpoint is well, have waited already.
  #isGathering(): boolean {
    const [first] = this.#waiting;
    const open = this.#options.endpoints.find(({ isOpen }) => isOpen);
    if (first?.job.characters === undefined || open === undefined || isRepeat(first)) return false;
    return this.#waiting.length < open.batchLimit && this.#gathering.isOn();
  }

  #holdBack(waiting: Waiting<Asked, Result>): void {
    if (waiting.heldBack === undefined) this.#options.deps.metrics.retryBudgetExhausted++;
    waiting.heldBack = true;
  }

  #gather(first: Waiting<Asked, Result>, endpoint: Endpoint, limit: number): readonly Waiting<Asked, Result>[] {
    const group = [first];
    let characters = first.job.characters;
    if (characters === undefined) return group;
    const { budget } = this.#options;
    for (const other of this.#waiting) {
      if (group.length >= limit) break;
      const more = other.job.characters;
      if (other === first || more === undefined || other.tried.has(endpoint)) continue;
      if (characters + more > maxBatchCharacters || (isRepeat(other) && !budget.available)) continue;
      group.push(other);
      characters += more;
    }
    return group;
  }

  #endpointFor(tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    const { budget, endpoints } = this.#options;
    const untried = endpoints.filter((endpoint) => !tried.has(endpoint));
    const open = untried.find(({ isOpen }) => isOpen);
    if (open === undefined) return untried.find(({ isDue }) => isDue);
    // The way back to one that is preferred is tried beside, so that no job waits for one that may be dead.
    for (const endpoint of endpoints.slice(0, endpoints.indexOf(open))) {
      if (endpoint.isDue && budget.available) void this.#probe(endpoint);
    }
    return open;
  }

  async #probe(endpoint: Endpoint): Promise<void> {
    endpoint.beginTrial();
    this.#options.budget.take();
    try {
      await this.#options.probe(endpoint);
      this.#options.budget.giveBack();
      endpoint.answered();
    } catch (error) {
      endpoint.failed(asSignetError(error, "ca-answer-invalid"), true, 1);
    }
    this.#pump();
  }

  async #fly({ endpoint, group, trial, repeat }: Flight<Asked, Result>): Promise<void> {
    const { send } = this.#options;
    this.#flying++;
    if (group[0]?.job.characters !== undefined) this.#gathering.begin();
    let outcomes: readonly Outcome<Result>[] | undefined;
    try {
      const jobs = group.map(({ job }) => job);
      outcomes = await send(endpoint, jobs, this.#timeoutOf(group, endpoint));
    } catch (caught) {
      const error = asSignetError(caught, "ca-answer-invalid");
      outcomes = group.map(() => ({ error }));
    }
    this.#flying--;
    if (this.#stopped) for (const { timer } of group) clearTimeout(timer);
    else this.#land({ endpoint, group, trial, repeat }, outcomes);
  }

  #land(
    { endpoint, group, trial, repeat }: Flight<Asked, Result>,
    outcomes: readonly Outcome<Result>[] | undefined,
  ): void {
    const { budget, deps } = this.#options;
    if (outcomes === undefined) {
      endpoint.refusedBatch();
      if (repeat) budget.giveBack();
      if (trial) endpoint.answered();
      for (const waiting of group) this.#again(waiting);
    } else {
      const blame = faultOf(outcomes);
      if (blame !== undefined) {
        endpoint.failed(blame, trial, group.length);
        this.#shareFailure(blame);
      } else {
        if (group[0]?.job.characters === undefined) endpoint.answered();
        else endpoint.succeeded(group.length);
        if (repeat && outcomes.some(isAnswer)) budget.giveBack();
      }
      if (group.length > 1) deps.metrics.caBatchItems.observe(group.length);
      for (const [at, waiting] of group.entries()) this.#settle(waiting, endpoint, outcomes[at]);
    }
    this.#pump();
  }

  /** While no endpoint is open, those who wait fail with the one that was tried: each then knows why, and waits by itself. */
  #shareFailure(error: SignetError): void {
    if (this.#options.endpoints.some(({ isDue, isOpen }) => isOpen || isDue)) return;
    for (const waiting of this.#waiting.splice(0)) this.#reject(waiting, waiting.refusal ?? error);
  }

  #settle(waiting: Waiting<Asked, Result>, endpoint: Endpoint, outcome: Outcome<Result> | undefined): void {
    if (outcome !== undefined && "value" in outcome) {
      if (waiting.refusal !== undefined) {
        const { log } = this.#options.deps;
        log.warn({ caUrl: endpoint.url }, "the CA accepts here a token that it refused at another URL");
      }
      clearTimeout(waiting.timer);
      waiting.resolve(outcome.value);
      return;
    }
    const error = outcome?.error ?? new SignetError("ca-answer-invalid", "the CA's answer is not used: it is missing");
    waiting.tried.add(endpoint);
    if (isRefusal(error)) {
      // A CA whose knowledge of an issuer's keys is old refuses what another accepts. For whoever holds a certificate
      // already, one such CA does not decide alone; a new token has to convince the one that is asked.
      if (error.code !== "token-not-accepted" || waiting.job.expiresAt === undefined || waiting.refusal !== undefined) {
        this.#reject(waiting, waiting.refusal ?? error);
        return;
      }
      waiting.refusal = error;
    }
    if (this.#canTryAnother(waiting)) this.#again(waiting);
    else this.#reject(waiting, waiting.refusal ?? error);
  }

  #canTryAnother({ tried, deadline }: Waiting<Asked, Result>): boolean {
    if (deadline <= performance.now()) return false;
    return this.#options.endpoints.some((endpoint) => !tried.has(endpoint) && (endpoint.isOpen || endpoint.isDue));
  }

  #again(waiting: Waiting<Asked, Result>): void {
    if (waiting.deadline <= performance.now()) {
      this.#reject(waiting, new SignetError("ca-unreachable", "the CA could not be asked in time"));
    } else this.#insert(waiting);
  }

  #reject(waiting: Waiting<Asked, Result>, error: SignetError): void {
    clearTimeout(waiting.timer);
    waiting.reject(error);
  }

  #timeoutOf(group: readonly Waiting<Asked, Result>[], endpoint: Endpoint): number {
    const { deps, endpoints, answerMilliseconds } = this.#options;
    const tried = group[0]?.tried;
    const another = endpoints.some((other) => other !== endpoint && other.isOpen && tried?.has(other) === false);
    const expiry = Math.min(...group.map(({ job }) => job.expiresAt ?? Number.POSITIVE_INFINITY));
    return attemptMilliseconds({
      usualMilliseconds: answerMilliseconds,
      inTheWay: another || !endpoint.isOpen,
      failures: endpoint.failures,
      expiresInSeconds: expiry - deps.now(),
      leftMilliseconds: Math.max(...group.map(({ deadline }) => deadline)) - performance.now(),
    });
  }

  #wakeLater(): void {
    const { agenda, budget, endpoints } = this.#options;
    // Whatever waits for no flight waits for an endpoint to be due, or for the budget to allow a repeat or a trial.
    const due = endpoints.flatMap(({ dueInSeconds = 0 }) => (dueInSeconds > 0 ? [dueInSeconds] : []));
    const seconds = budget.available ? Math.min(...due) : budget.availableInSeconds;
    if (seconds < Number.POSITIVE_INFINITY) this.#cancelWake = agenda.after(seconds, () => this.#pump());
  }
}
