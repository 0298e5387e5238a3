import { SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Cancel, Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import type { EncodedSecret } from "../sds/secret.ts";
import { Attempts } from "./attempts.ts";
import type { Issue, Issued } from "./issue.ts";
import { drawRenewal } from "./rotation.ts";
import type { Subscription } from "./subscription.ts";

// An Envoy that hangs on to old token files brings few; a fresh one comes with every reconnect.
const maxTokens = 8;
// After a refusal: long enough not to hammer, short enough for a CA that was told better in the meantime.
const refusedAgainSeconds = 10;

export interface WorkloadOptions {
  readonly issue: Issue;
  readonly agenda: Agenda;
  readonly deps: Deps;
  /** Tokens that no longer lead here. */
  readonly onTokensDropped: (tokenHashes: readonly string[]) => void;
}

/**
 * The state of one pod under one identity, shared by all of its streams: the certificate in use, the tokens that the CA
 * has accepted for it, and the way to the next certificate.
 */
export class Workload {
  /** Of the token that made it; every later one has the same pod and identity. */
  readonly caller: Pick<Caller, "claims" | "spiffeId">;
  readonly subscriptions = new Set<Subscription>();
  readonly #tokens = new Map<string, Caller>();
  readonly #options: WorkloadOptions;
  readonly #renewal: Attempts;
  #issued: Issued;
  #issuedCount = 0;
  #renewAt = 0;
  #lastError: SignetError | undefined;
  #cancelRenewal: Cancel | undefined;

  constructor(caller: Caller, issued: Issued, options: WorkloadOptions) {
    this.caller = { claims: caller.claims, spiffeId: caller.spiffeId };
    this.#options = options;
    this.#issued = issued;
    this.#renewal = new Attempts(
      {
        attempt: () => this.#attempt(),
        onIssued: (renewed) => this.#take(renewed),
        onRefused: (error) => this.#refused(error),
        onFailed: (error, waitSeconds) => this.#failed(error, waitSeconds),
      },
      options.agenda,
      options.deps,
    );
    this.accept(caller, issued);
  }

  get status() {
    const { notAfter, notBefore, receivedAt, serialNumber } = this.#issued;
    return {
      serialNumber,
      receivedAt,
      notBefore,
      notAfter,
      renewAt: this.#renewAt,
      issuedCount: this.#issuedCount,
      streams: this.subscriptions.size,
      lastError: this.#lastError,
    };
  }

  get tokenHashes(): readonly string[] {
    return [...this.#tokens.keys()];
  }

  /** The secret in use, unless it has run out. */
  secret(): EncodedSecret | undefined {
    return this.#issued.notAfter > this.#options.deps.now() ? this.#issued.secret : undefined;
  }

  /** Takes a token that the CA has accepted, with the certificate that it gave for it. */
  accept(caller: Caller, issued: Issued): void {
    this.#keep(caller);
    this.#take(issued);
  }

  /** Takes a token that the kubelet brought for this pod, to renew with. */
  refresh(caller: Caller): void {
    if (this.#tokens.has(caller.tokenHash)) return;
    this.#keep(caller);
    if (this.#renewAt <= this.#options.deps.now()) this.#renewal.start();
  }

  attach(subscription: Subscription): void {
    subscription.workload = this;
    this.subscriptions.add(subscription);
    if (this.#renewAt <= this.#options.deps.now()) this.#renewal.start();
  }

  stop(): void {
    this.#cancelRenewal?.();
    this.#renewal.stop();
  }

  #take(issued: Issued): void {
    const { agenda, deps } = this.#options;
    this.#issued = issued;
    this.#issuedCount++;
    this.#lastError = undefined;
    this.#renewAt = drawRenewal(issued.receivedAt, issued.notAfter, deps.random);
    this.#cancelRenewal?.();
    this.#cancelRenewal = agenda.at(this.#renewAt, () => this.#renewal.start());
    deps.log.info(
      {
        ...this.#names(),
        serialNumber: issued.serialNumber,
        notAfter: iso(issued.notAfter),
        issuedCount: this.#issuedCount,
      },
      "certificate issued",
    );
    for (const { subscriber } of [...this.subscriptions]) subscriber.onChange();
  }

  #attempt(): Promise<Issued> | undefined {
    // Nobody to renew for: whoever attaches next starts it.
    if (this.subscriptions.size === 0) return undefined;
    // A token that came in meanwhile may have brought a certificate of its own.
    if (this.#renewAt > this.#options.deps.now()) return undefined;
    const caller = this.#freshestCaller();
    if (caller === undefined) {
      this.#endStreams(new SignetError("token-expired", "the token has expired; come back with a fresh one"));
      return undefined;
    }
    return this.#options.issue({ token: caller.token, spiffeId: caller.spiffeId, urgent: true });
  }

  #keep(caller: Caller): void {
    this.#tokens.delete(caller.tokenHash);
    this.#tokens.set(caller.tokenHash, caller);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > maxTokens && oldest !== undefined) this.#drop([oldest]);
  }

  #freshestCaller(): Caller | undefined {
    const now = this.#options.deps.now();
    this.#drop(
      [...this.#tokens.values()].filter(({ claims }) => claims.expiresAt <= now).map(({ tokenHash }) => tokenHash),
    );
    let freshest: Caller | undefined;
    for (const caller of this.#tokens.values()) {
      if (freshest === undefined || caller.claims.expiresAt >= freshest.claims.expiresAt) freshest = caller;
    }
    return freshest;
  }

  #refused(error: SignetError): number {
    this.#lastError = error;
    this.#options.deps.log.warn(
      { ...this.#names(), code: error.code, reason: error.message, notAfter: iso(this.#issued.notAfter) },
      "renewal refused; the certificate stays in use",
    );
    // A token that is read again may be a better one; the certificate waits for it here.
    this.#endStreams(error);
    return refusedAgainSeconds;
  }

  #failed(error: SignetError, waitSeconds: number): void {
    this.#lastError = error;
    this.#options.deps.log.warn(
      { ...this.#names(), code: error.code, reason: error.message, waitSeconds, notAfter: iso(this.#issued.notAfter) },
      "renewal failed; will try again, the certificate stays in use",
    );
  }

  #endStreams(error: SignetError): void {
    for (const { subscriber } of [...this.subscriptions]) subscriber.onEnd(error);
  }

  #drop(tokenHashes: readonly string[]): void {
    for (const tokenHash of tokenHashes) this.#tokens.delete(tokenHash);
    if (tokenHashes.length > 0) this.#options.onTokensDropped(tokenHashes);
  }

  #names() {
    const { claims, spiffeId } = this.caller;
    return { spiffeId: spiffeId.toString(), pod: `${claims.namespace}/${claims.podName}`, podUid: claims.podUid };
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}
