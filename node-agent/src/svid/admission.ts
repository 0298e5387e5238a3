import { SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import type { Issue, Issued } from "./issue.ts";
import type { Lane } from "./lane.ts";
import { LifeMachine } from "./machine.ts";
import type { Subscription } from "./subscription.ts";

export interface AdmissionOptions {
  readonly issue: Issue;
  /** Of the connection that brought the token first. */
  readonly lane: Lane;
  readonly agenda: Agenda;
  readonly deps: Deps;
  /** The CA has accepted the token. */
  readonly onAccepted: (issued: Issued) => void;
  readonly onRefused: (error: SignetError) => void;
  /** The CA could not be asked or gave a wrong answer. */
  readonly onFailed: (error: SignetError) => void;
  /** Nobody waits for the answer any more. */
  readonly onAbandoned: () => void;
}

/**
 * A token that the CA has not judged yet, and the streams that wait for its word. It knows nothing of any workload: who
 * forges a token with another pod's name in it waits here, alone, and is refused here.
 */
export class Admission {
  readonly caller: Caller;
  readonly lane: Lane;
  readonly subscriptions = new Set<Subscription>();
  /** Set once the CA has said no. */
  refusal: SignetError | undefined;
  readonly #life: LifeMachine;

  constructor(caller: Caller, options: AdmissionOptions) {
    const { agenda, deps, issue, lane, onAbandoned, onAccepted, onFailed, onRefused } = options;
    const { claims, spiffeId } = caller;
    const names = { claimedId: spiffeId.toString(), claimedPod: `${claims.namespace}/${claims.podName}` };
    this.caller = caller;
    this.lane = lane;
    this.#life = new LifeMachine({
      ask: (retry) => {
        if (this.subscriptions.size > 0) {
          return lane.ask(async () => {
            // What was given up while it waited for its turn is not asked about.
            if (this.#life.state === "gone") throw new SignetError("ca-busy", "nobody waits for the answer");
            return await issue({ token: caller.token, spiffeId, retry });
          });
        }
        onAbandoned();
        return "alone";
      },
      take: (issued) => {
        onAccepted(issued);
        return undefined;
      },
      onRefused: (error) => {
        this.refusal = error;
        deps.log.warn({ ...names, code: error.code, reason: error.message }, "token refused");
        onRefused(error);
      },
      onFailed: (error, waitSeconds) => {
        deps.log.warn(
          { ...names, code: error.code, reason: error.message, waitSeconds },
          "no certificate yet; will try again",
        );
        onFailed(error);
      },
      againSeconds: undefined,
      agenda,
      deps,
    });
  }

  join(subscription: Subscription): void {
    this.subscriptions.add(subscription);
    this.#life.attached();
  }

  /** The CA answers again: the next try need not wait for its time. */
  hastenRetry(withinSeconds: number): void {
    this.#life.hasten(withinSeconds, "retrying");
  }

  stop(): void {
    this.#life.stop();
  }
}
