import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Cancel, Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import { Admission } from "./admission.ts";
import type { Issue, Issued, IssueFor } from "./issue.ts";
import { Lane, type LaneLimits } from "./lane.ts";
import { type Subscriber, Subscription } from "./subscription.ts";
import { Workload, type WorkloadOptions } from "./workload.ts";

export interface WorkloadsOptions {
  readonly issue: Issue;
  readonly agenda: Agenda;
  readonly deps: Deps;
  readonly flawOf: WorkloadOptions["flawOf"];
  readonly offline: OfflineCheck;
  readonly limits?: Partial<WorkloadLimits>;
}

/** How a token is judged while the CA cannot be asked. */
export interface OfflineCheck {
  /** Whether it is known already that asking is in vain. */
  readonly isCaAway: () => boolean;
  /** @throws SignetError when the CA would not take the token */
  readonly verify: (caller: Caller) => void;
}

export interface WorkloadLimits {
  /** Tokens that may wait for the CA at once; any pod can make up new ones. */
  readonly maxAdmissions: number;
  /** The same for the tokens of one connection. */
  readonly lane: LaneLimits;
  /** How long a refusal is repeated without asking the CA again, so that a reconnecting Envoy does not hammer it. */
  readonly refusalSeconds: number;
  /** How long a workload outlives its last stream, so that an Envoy restart needs no CA. */
  readonly idleSeconds: number;
}

// Of refused tokens, which are kept in mind for a time without the CA.
const maxRefused = 4_096;
// A CA that answers again is asked by all that wait for it within this time, as far as the client's budget goes.
const hastenSeconds = 1;

const defaults: WorkloadLimits = {
  maxAdmissions: 4_096,
  lane: { maxUnaccepted: 16, maxAsked: 4 },
  refusalSeconds: 5,
  idleSeconds: 600,
};

/** How a token came here: from the kubelet, or from a client, whose connection may be any object that stands for it. */
export type TokenSource = "kubelet" | { readonly connection: object };

/**
 * Every workload of the node. THE RULE OF THIS FILE: a stream reaches a workload only by the hash of a token that the CA
 * itself has accepted, byte for byte, or over a pod's own socket, with a token that the kubelet brought for that pod.
 * Claims of any other token are anybody's words before the CA has accepted it. In both cases a workload comes into being
 * only by the CA's word.
 *
 * One exception, while the CA cannot be asked: a token that verifies by what the CA has published reaches the workload
 * that is there for its pod and identity, so that an Envoy which restarts with a fresh token is served from memory. It
 * makes no workload, and it is no way around a refusal, be it of that token or of its pod since its certificate came.
 */
export class Workloads {
  readonly #options: WorkloadsOptions;
  readonly #limits: WorkloadLimits;
  readonly #lanes = new WeakMap<object, Lane>();
  /** By token hash. */
  readonly #admissions = new Map<string, Admission>();
  readonly #accepted = new Map<string, Workload>();
  /** By pod uid and SPIFFE ID. */
  readonly #workloads = new Map<string, Workload>();
  readonly #evictions = new Map<Workload, Cancel>();
  /** Hashes of tokens that the CA has refused. */
  readonly #refused = new Set<string>();
  /** Refusals that are repeated for a while. */
  readonly #forgetting = new Set<Cancel>();
  /** Some may wait for the CA to come back. */
  #anyFailed = false;

  constructor(options: WorkloadsOptions) {
    this.#options = { ...options, issue: (what) => this.#issue(what, options.issue) };
    this.#limits = { ...defaults, ...options.limits };
  }

  get all(): Iterable<Workload> {
    return this.#workloads.values();
  }

  /** Workloads, and tokens that are none's yet. */
  get size(): number {
    return this.#workloads.size + this.#admissions.size;
  }

  get waitingTokens(): number {
    return this.#admissions.size;
  }

  /** Whether the CA has accepted this very token, and it is still in use. */
  hasAccepted({ tokenHash }: Pick<Caller, "tokenHash">): boolean {
    return this.#accepted.has(tokenHash);
  }

  /**
   * Gives a stream a hold on what its token is worth.
   * @param from `kubelet` when the kubelet itself brought the token, for the pod whose socket the stream came by
   * @throws SignetError the CA's refusal of this token, if it was a moment ago; `ca-busy` with too many tokens waiting
   */
  subscribe(caller: Caller, subscriber: Subscriber, from: TokenSource): Subscription {
    const workload =
      this.#accepted.get(caller.tokenHash) ??
      (from === "kubelet" ? this.#workloads.get(keyOf(caller)) : undefined) ??
      (this.#options.offline.isCaAway() ? this.#vouchedFor(caller) : undefined);
    if (workload !== undefined) {
      const subscription = new Subscription(subscriber, (closed) => this.#leave(closed));
      this.#attach(subscription, workload);
      return subscription;
    }
    const admission = this.#admissions.get(caller.tokenHash) ?? this.#admit(caller, from);
    if (admission.refusal !== undefined) throw admission.refusal;
    const subscription = new Subscription(subscriber, (closed) => {
      admission.subscriptions.delete(closed);
      this.#leave(closed);
    });
    admission.join(subscription);
    return subscription;
  }

  /** Takes a fresh token that the kubelet brought: the next renewal uses it. */
  refresh(caller: Caller): void {
    this.#workloads.get(keyOf(caller))?.refresh(caller);
  }

  /** Forgets what there is of a pod that is gone. */
  discard(podUid: string): void {
    for (const workload of this.#workloads.values()) {
      if (workload.caller.claims.podUid === podUid) this.#evict(workload);
    }
  }

  /** The trust bundle has changed. */
  review(): void {
    for (const workload of this.#workloads.values()) workload.review();
  }

  stop(): void {
    for (const admission of this.#admissions.values()) admission.stop();
    for (const workload of this.#workloads.values()) workload.stop();
    for (const cancel of [...this.#evictions.values(), ...this.#forgetting]) cancel();
    this.#admissions.clear();
    this.#accepted.clear();
    this.#workloads.clear();
  }

  async #issue(what: IssueFor, issue: Issue): Promise<Issued> {
    const issued = await issue(what);
    if (this.#anyFailed) {
      this.#anyFailed = false;
      for (const waiting of [...this.#workloads.values(), ...this.#admissions.values()]) {
        waiting.hastenRetry(hastenSeconds);
      }
    }
    return issued;
  }

  readonly #onFailed = () => {
    this.#anyFailed = true;
  };

  #admit(caller: Caller, from: TokenSource): Admission {
    const { tokenHash } = caller;
    const lane = this.#laneOf(from);
    if (this.#admissions.size >= this.#limits.maxAdmissions) this.#makeRoomBeside(lane);
    lane.enter();
    const admission: Admission = new Admission(caller, {
      ...this.#options,
      lane,
      onAccepted: (issued) => {
        this.#forget(admission);
        this.#join(admission, issued);
      },
      onRefused: (error) => {
        this.#noteRefusal(caller, error);
        const cancel = this.#options.agenda.after(this.#limits.refusalSeconds, () => {
          this.#forgetting.delete(cancel);
          this.#forget(admission);
        });
        this.#forgetting.add(cancel);
        for (const { subscriber } of [...admission.subscriptions]) subscriber.onEnd(error);
      },
      onFailed: (error) => {
        this.#onFailed();
        this.#rejoin(admission, error);
      },
      onAbandoned: () => this.#forget(admission),
    });
    this.#admissions.set(tokenHash, admission);
    return admission;
  }

  #forget(admission: Admission): void {
    const { tokenHash } = admission.caller;
    if (this.#admissions.get(tokenHash) !== admission) return;
    this.#admissions.delete(tokenHash);
    admission.stop();
    admission.lane.leave();
  }

  #laneOf(from: TokenSource): Lane {
    if (from === "kubelet") return new Lane(this.#limits.lane);
    const known = this.#lanes.get(from.connection);
    if (known !== undefined) return known;
    const lane = new Lane(this.#limits.lane);
    this.#lanes.set(from.connection, lane);
    return lane;
  }

  /** Gives up a token that nobody waits for, or one of the connection that has most, if that has more than `lane`. */
  #makeRoomBeside(lane: Lane): void {
    const waiting = [...this.#admissions.values()];
    const given =
      waiting.find(({ subscriptions }) => subscriptions.size === 0) ??
      waiting.reduce((most, one) => (one.lane.size >= most.lane.size ? one : most));
    const busy = new SignetError("ca-busy", "too many tokens wait for the CA's word; try again later");
    if (given.subscriptions.size > 0 && given.lane.size <= lane.size + 1) throw busy;
    this.#forget(given);
    for (const { subscriber } of [...given.subscriptions]) subscriber.onEnd(busy);
  }

  // From here on the claims are true: the CA has accepted the token, and its answer names the identity they make.
  #join(admission: Admission, issued: Issued): void {
    const { caller } = admission;
    const key = keyOf(caller);
    let workload = this.#workloads.get(key);
    if (workload === undefined) {
      workload = new Workload(caller, issued, {
        ...this.#options,
        onFailed: this.#onFailed,
        onTokensDropped: (hashes) => {
          for (const hash of hashes) this.#accepted.delete(hash);
        },
      });
      this.#workloads.set(key, workload);
    } else workload.accept(caller, issued);
    this.#accepted.set(caller.tokenHash, workload);
    this.#refused.delete(caller.tokenHash);
    this.#hand(admission, workload);
    this.#evictWhenIdle(workload);
  }

  #hand(admission: Admission, workload: Workload): void {
    for (const subscription of [...admission.subscriptions]) {
      admission.subscriptions.delete(subscription);
      this.#attach(subscription, workload);
      subscription.subscriber.onChange();
    }
  }

  /** The workload of a token that verifies without the CA, see the rule of this file. */
  #vouchedFor(caller: Caller): Workload | undefined {
    const workload = this.#workloads.get(keyOf(caller));
    if (workload?.secret() === undefined || workload.isRefused || this.#refused.has(caller.tokenHash)) return undefined;
    const { deps, offline } = this.#options;
    const { podUid, namespace, podName } = caller.claims;
    const who = { claimedId: caller.spiffeId.toString(), claimedPod: `${namespace}/${podName}`, podUid };
    try {
      offline.verify(caller);
    } catch (caught) {
      const { code, message } = asSignetError(caught, "token-not-accepted");
      deps.log.debug({ ...who, code, reason: message }, "the CA cannot be asked, and the token does not verify here");
      return undefined;
    }
    deps.metrics.tokensVerifiedOffline++;
    deps.log.info(who, "the CA cannot be asked; the token verifies here and is served what there is");
    // The CA will judge it with the next renewal.
    workload.refresh(caller);
    return workload;
  }

  #rejoin(admission: Admission, { code }: SignetError): void {
    if (code !== "ca-unreachable" && code !== "ca-busy") return;
    const workload = this.#vouchedFor(admission.caller);
    if (workload === undefined) return;
    this.#forget(admission);
    this.#hand(admission, workload);
  }

  #noteRefusal(caller: Caller, { code }: SignetError): void {
    this.#refused.add(caller.tokenHash);
    const [oldest] = this.#refused;
    if (this.#refused.size > maxRefused && oldest !== undefined) this.#refused.delete(oldest);
    // The CA says these of tokens that it has verified, so that their claims are true.
    const isVerified = code === "identity-not-entitled" || code === "node-not-entitled";
    if (isVerified) this.#workloads.get(keyOf(caller))?.noteRefusal();
  }

  #attach(subscription: Subscription, workload: Workload): void {
    this.#evictions.get(workload)?.();
    this.#evictions.delete(workload);
    workload.attach(subscription);
  }

  #leave(subscription: Subscription): void {
    const { workload } = subscription;
    if (workload === undefined) return;
    workload.subscriptions.delete(subscription);
    this.#evictWhenIdle(workload);
  }

  #evictWhenIdle(workload: Workload): void {
    if (workload.subscriptions.size > 0 || this.#evictions.has(workload)) return;
    const cancel = this.#options.agenda.after(this.#limits.idleSeconds, () => this.#evict(workload));
    this.#evictions.set(workload, cancel);
  }

  #evict(workload: Workload): void {
    this.#evictions.get(workload)?.();
    this.#evictions.delete(workload);
    workload.stop();
    for (const hash of workload.tokenHashes) this.#accepted.delete(hash);
    this.#workloads.delete(keyOf(workload.caller));
  }
}

function keyOf({ claims, spiffeId }: Pick<Caller, "claims" | "spiffeId">): string {
  return `${claims.podUid} ${spiffeId}`;
}
