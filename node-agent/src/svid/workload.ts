import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import { renewalWaitSeconds } from "../ca/backoff.ts";
import type { Flaw } from "../ca/standing.ts";
import type { Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import type { EncodedSecret } from "../sds/secret.ts";
import type { Issue, Issued } from "./issue.ts";
import { LifeMachine } from "./machine.ts";
import { drawRenewal } from "./rotation.ts";
import type { Subscription } from "./subscription.ts";

// An Envoy that hangs on to old token files brings few; a fresh one comes with every reconnect.
const maxTokens = 8;
// After a refusal: long enough not to hammer, short enough for a CA that was told better in the meantime.
const againSeconds = 10;
// All that hang on an authority that fell are replaced within this time, each at its own moment.
const replaceWithinSeconds = 10;
// A CA that gives another such certificate was not set right yet.
const replaceAgainSeconds = 30;

export interface WorkloadOptions {
  readonly issue: Issue;
  readonly agenda: Agenda;
  readonly deps: Deps;
  /** What the trust bundle has against a certificate. */
  readonly flawOf: (issued: Issued) => Flaw | undefined;
  /** Tokens that no longer lead here. */
  readonly onTokensDropped: (tokenHashes: readonly string[]) => void;
  /** A request of it has failed: the CA could not be asked or gave a wrong answer. */
  readonly onFailed: () => void;
}

/** A certificate in use, with what can be said of its time. */
interface InUse {
  readonly issued: Issued;
  /** By the monotonic clock. */
  readonly since: number;
  readonly renewAt: number;
}

/**
 * One pod under one identity, shared by all of its streams: the certificate in use, the tokens that the CA has accepted
 * for it, and the way to the next certificate, which is the state machine of `life.ts`.
 *
 * A token that comes is for the next request: it renews nothing by itself. Where a request is due and no token holds
 * any more, the streams end, so that their Envoys read their token file anew; certificate and state stay.
 */
export class Workload {
  /** Of the token that made it; every later one has the same pod and identity. */
  readonly caller: Pick<Caller, "claims" | "spiffeId">;
  readonly subscriptions = new Set<Subscription>();
  readonly #tokens = new Map<string, Caller>();
  readonly #options: WorkloadOptions;
  readonly #life: LifeMachine;
  #inUse: InUse;
  #issuedCount = 0;
  #isRefused = false;
  #failure: { readonly error: SignetError; readonly at: number } | undefined;

  constructor(caller: Caller, issued: Issued, options: WorkloadOptions) {
    const { agenda, deps } = options;
    this.caller = { claims: caller.claims, spiffeId: caller.spiffeId };
    this.#options = options;
    this.#inUse = { issued, since: deps.monotonic(), renewAt: issued.notAfter };
    this.#life = new LifeMachine({
      ask: (retry) => this.#ask(retry),
      take: (renewed) => this.#take(renewed),
      onRefused: (error) => this.#refused(error),
      onFailed: (error, waitSeconds) => this.#failed(error, waitSeconds),
      onTokenless: () => this.#tokenless(),
      againSeconds,
      maxWaitSeconds: () => this.#maxWaitSeconds(),
      agenda,
      deps,
    });
    this.accept(caller, issued);
  }

  get status() {
    const { issued, renewAt } = this.#inUse;
    const { notAfter, notBefore, receivedAt, serialNumber } = issued;
    return {
      state: this.#life.state,
      serialNumber,
      notBefore,
      notAfter,
      hasExpired: this.#hasExpired(),
      renewAt,
      /** When the certificate in use came from the CA. */
      receivedAt,
      issuedCount: this.#issuedCount,
      /** Of the token that lasts longest. */
      tokenExpiresAt: Math.max(...[...this.#tokens.values()].map(({ claims }) => claims.expiresAt)),
      streams: this.subscriptions.size,
      /** Why the last request brought nothing; undefined once one has brought something. */
      lastError: this.#failure?.error,
      lastErrorAt: this.#failure?.at,
      /** After a request that brought nothing: when the next one is due. */
      nextTryAt: this.#life.nextTryAt,
    };
  }

  /** Whether the CA has said no since it gave the certificate in use, be it long ago. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** The CA has refused another token of this very pod, after it had verified it. */
  noteRefusal(): void {
    this.#isRefused = true;
  }

  get tokenHashes(): readonly string[] {
    return [...this.#tokens.keys()];
  }

  /** The secret in use, unless it has run out. It may be kept only as long as nothing else can run. */
  secret(): EncodedSecret | undefined {
    return this.#life.state === "gone" || this.#hasExpired() ? undefined : this.#inUse.issued.secret;
  }

  /** Takes a token that the CA has accepted, with the certificate that it gave for it. */
  accept(caller: Caller, issued: Issued): void {
    this.#keep(caller);
    this.#life.give(issued);
  }

  /** Takes a token that the kubelet brought for this pod, to renew with. */
  refresh(caller: Caller): void {
    if (this.#tokens.has(caller.tokenHash)) return;
    this.#keep(caller);
    this.#life.tokenCame();
  }

  attach(subscription: Subscription): void {
    subscription.workload = this;
    this.subscriptions.add(subscription);
    this.#life.look();
    this.#life.attached();
  }

  /** The CA answers again: the next try need not wait for its time. */
  hastenRetry(withinSeconds: number): void {
    this.#life.hasten(withinSeconds, "retrying");
  }

  /** The trust bundle has changed: a certificate that cannot stay is replaced soon; until then it is in use. */
  review(): void {
    const { deps, flawOf } = this.#options;
    const flaw = flawOf(this.#inUse.issued);
    if (flaw === undefined) return;
    const renewAt = this.#life.hasten(replaceWithinSeconds, "held", "landing");
    if (renewAt === undefined) return;
    this.#inUse = { ...this.#inUse, renewAt };
    deps.log.warn({ ...this.#names(), serialNumber: this.#inUse.issued.serialNumber, flaw }, "certificate is replaced");
  }

  stop(): void {
    this.#life.stop();
    this.#inUse.issued.secret.dispose();
  }

  #take(issued: Issued): number {
    const { deps } = this.#options;
    const renewAt = this.#renewalOf(issued);
    const before = this.#inUse.issued;
    this.#inUse = { issued, since: deps.monotonic(), renewAt };
    this.#issuedCount++;
    this.#failure = undefined;
    this.#isRefused = false;
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
    // Streams copy what they send at once, and from now on they find the new one.
    if (before.secret !== issued.secret) before.secret.dispose();
    return renewAt;
  }

  #renewalOf(issued: Issued): number {
    const { deps, flawOf } = this.#options;
    const drawn = drawRenewal(issued, deps.random);
    const flaw = flawOf(issued);
    if (flaw === undefined) return drawn;
    deps.log.warn(
      { ...this.#names(), serialNumber: issued.serialNumber, flaw },
      "the new certificate is replaced, too",
    );
    return Math.min(drawn, deps.now() + replaceAgainSeconds * (1 + deps.random()));
  }

  #ask(retry: boolean): Promise<Issued> | "alone" | "tokenless" {
    if (this.subscriptions.size === 0) return "alone";
    const caller = this.#freshestCaller();
    if (caller === undefined) return "tokenless";
    const { token, spiffeId } = caller;
    const { issue, deps, flawOf } = this.#options;
    const { issued } = this.#inUse;
    // Those that no peer may trust any more go before all that run out later.
    const expiresAt = flawOf(issued) === undefined ? issued.notAfter : Math.min(issued.notAfter, deps.now());
    const request = issue({ token, spiffeId, expiresAt, retry });
    request.then(
      () => deps.metrics.renewed("issued"),
      (error: unknown) => deps.metrics.renewed(asSignetError(error, "ca-answer-invalid").code),
    );
    return request;
  }

  // By the wall clock, which every peer goes by. One that was set back cannot make an old certificate good again: it is
  // over, too, once it has been here for longer than all of its life.
  #hasExpired(): boolean {
    const { deps } = this.#options;
    const { issued, since } = this.#inUse;
    return issued.notAfter <= deps.now() || deps.monotonic() - since >= issued.notAfter - issued.notBefore;
  }

  #maxWaitSeconds(): number {
    const { deps } = this.#options;
    if (this.#hasExpired()) return Number.POSITIVE_INFINITY;
    const { issued, since } = this.#inUse;
    const life = issued.notAfter - issued.notBefore;
    const left = Math.min(issued.notAfter - deps.now(), life - (deps.monotonic() - since));
    return renewalWaitSeconds(left, deps.random);
  }

  #keep(caller: Caller): void {
    this.#tokens.delete(caller.tokenHash);
    this.#tokens.set(caller.tokenHash, caller);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size <= maxTokens || oldest === undefined) return;
    this.#tokens.delete(oldest);
    this.#options.onTokensDropped([oldest]);
  }

  // One that has expired is passed over and kept: it is the clock that may be wrong.
  #freshestCaller(): Caller | undefined {
    const now = this.#options.deps.now();
    let freshest: Caller | undefined;
    for (const caller of this.#tokens.values()) {
      const { expiresAt } = caller.claims;
      if (expiresAt > now && expiresAt >= (freshest?.claims.expiresAt ?? 0)) freshest = caller;
    }
    return freshest;
  }

  #refused(error: SignetError): void {
    this.#isRefused = true;
    this.#failure = { error, at: this.#options.deps.now() };
    this.#options.deps.log.warn(
      { ...this.#names(), code: error.code, reason: error.message, notAfter: iso(this.#inUse.issued.notAfter) },
      "renewal refused; the certificate stays in use",
    );
    // A token that is read again may be a better one; the certificate waits for it here.
    this.#endStreams(error);
  }

  #failed(error: SignetError, waitSeconds: number): void {
    this.#failure = { error, at: this.#options.deps.now() };
    this.#options.deps.log.warn(
      {
        ...this.#names(),
        code: error.code,
        reason: error.message,
        waitSeconds,
        notAfter: iso(this.#inUse.issued.notAfter),
      },
      "renewal failed; will try again, the certificate stays in use",
    );
    this.#options.onFailed();
  }

  #tokenless(): void {
    this.#endStreams(new SignetError("token-expired", "the token has expired; come back with a fresh one"));
  }

  #endStreams(error: SignetError): void {
    for (const subscription of [...this.subscriptions]) {
      // Not before whoever is attaching just now has the subscription in hand.
      queueMicrotask(() => {
        if (!subscription.isClosed) subscription.subscriber.onEnd(error);
      });
    }
  }

  #names() {
    const { claims, spiffeId } = this.caller;
    return { spiffeId: spiffeId.toString(), pod: `${claims.namespace}/${claims.podName}`, podUid: claims.podUid };
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}
