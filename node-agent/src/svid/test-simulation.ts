import { SignetError } from "@signet/shared/errors";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { Agenda } from "../agenda.ts";
import type { Deps } from "../deps.ts";
import type { Caller } from "../identity/caller.ts";
import { Metrics } from "../metrics.ts";
import { EncodedSecret } from "../sds/secret.ts";
import type { Issued, IssueFor } from "./issue.ts";
import type { Subscription } from "./subscription.ts";
import { type WorkloadLimits, Workloads } from "./workloads.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
export const leafSeconds = 3_600;
const backdateSeconds = 60;

/** A request that is with the CA. */
export interface Flight {
  readonly what: IssueFor;
  readonly podUid: string;
  readonly resolve: (issued: Issued) => void;
  readonly reject: (error: SignetError) => void;
}

/** A certificate as the CA gave it, and how long it is good. */
export interface Leaf {
  readonly issued: Issued;
  readonly podUid: string;
  /** By the clock that always runs right. */
  readonly goodUntil: number;
  /** Number of the authority that signed it. */
  readonly authority: number;
}

export interface Stream {
  readonly podUid: string;
  readonly connection: number;
  readonly subscription: Subscription;
  ended: SignetError | undefined;
  changes: number;
}

/** A node's workloads with clocks, a timer and a CA that do as the test says. */
export class Simulation {
  /** True time; the monotonic clock goes with it. */
  time = 0;
  /** What the wall clock is wrong by. */
  error = 0;
  authority = 0;
  isCaAway = false;
  /** Tokens that verify without the CA. */
  readonly verifiable = new Set<string>();
  readonly flights: Flight[] = [];
  readonly leaves: Leaf[] = [];
  readonly streams: Stream[] = [];
  requests = 0;
  readonly #connections = new Map<number, object>();
  #timer: { readonly at: number; readonly run: () => void } | undefined;
  #tokens = 0;
  readonly deps: Deps;
  readonly agenda: Agenda;
  readonly workloads: Workloads;

  /** @param random in [0, 1) */
  constructor(random: () => number, limits: Partial<WorkloadLimits> = {}) {
    const metrics = new Metrics();
    this.deps = {
      now: () => this.now,
      monotonic: () => this.time,
      random,
      setTimer: (run, milliseconds) => {
        const timer = { at: this.time + milliseconds / 1_000, run };
        this.#timer = timer;
        return () => {
          if (this.#timer === timer) this.#timer = undefined;
        };
      },
      log: quiet,
      metrics,
    };
    this.agenda = new Agenda(this.deps);
    this.workloads = new Workloads({
      issue: (what) => this.#issue(what),
      agenda: this.agenda,
      deps: this.deps,
      limits,
      offline: {
        isCaAway: () => this.isCaAway,
        verify: (caller) => {
          if (!this.verifiable.has(caller.token)) throw new SignetError("token-not-accepted", "no");
        },
      },
      flawOf: (issued) => (this.#leafOf(issued).authority < this.authority ? "tainted" : undefined),
    });
  }

  get now(): number {
    return 1_000_000 + this.time + this.error;
  }

  get hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  caller(podUid: string, lifetime: number): Caller {
    const token = `${podUid}.${++this.#tokens}`;
    const expiresAt = this.now + lifetime;
    const names = { namespace: "foo", serviceAccount: "sleep", podName: podUid, podUid };
    const times = { issuedAt: this.now, notBefore: this.now, expiresAt };
    return {
      token,
      tokenHash: token,
      spiffeId: SpiffeId.fromSegments(trustDomain, ["ns", "foo", "sa", "sleep"]),
      claims: {
        ...{ issuer: "issuer", audiences: ["signet-ca"], subject: "subject", tokenId: undefined },
        ...{ nodeName: undefined, nodeUid: undefined, ...names, ...times },
      },
    };
  }

  /** @returns undefined where the stream is refused at once */
  connect(caller: Caller, from: "stream" | "kubelet", connection = 0): Stream | undefined {
    const stream: Omit<Stream, "subscription"> = {
      podUid: caller.claims.podUid,
      connection,
      ended: undefined,
      changes: 0,
    };
    try {
      const subscription = this.workloads.subscribe(
        caller,
        {
          onChange: () => stream.changes++,
          onEnd: (error) => {
            stream.ended = error;
            subscription.close();
          },
        },
        from === "kubelet" ? from : { connection: this.#connectionOf(connection) },
      );
      const open = Object.assign(stream, { subscription });
      this.streams.push(open);
      return open;
    } catch (error) {
      if (error instanceof SignetError) return undefined;
      throw error;
    }
  }

  #connectionOf(number: number): object {
    const known = this.#connections.get(number) ?? {};
    this.#connections.set(number, known);
    return known;
  }

  /** Lets time pass, with every timer of it and every answer. */
  async pass(seconds: number, answer?: (flight: Flight) => void): Promise<void> {
    const end = this.time + seconds;
    for (;;) {
      await this.settle(answer);
      if (this.#timer === undefined || this.#timer.at > end) break;
      const { at, run } = this.#timer;
      this.time = Math.max(this.time, at);
      this.#timer = undefined;
      run();
    }
    this.time = end;
  }

  /** Lets everything run that waits for no time. */
  async settle(answer?: (flight: Flight) => void): Promise<void> {
    do {
      if (answer !== undefined) for (const flight of [...this.flights]) answer(flight);
      await new Promise((resolve) => setImmediate(resolve));
    } while (answer !== undefined && this.flights.length > 0);
  }

  grant(flight: Flight): void {
    this.#land(flight);
    const serialNumber = String(this.leaves.length + 1);
    const notBefore = this.now - this.error - backdateSeconds;
    const issued: Issued = {
      secret: EncodedSecret.ofCertificate(serialNumber, "chain", new TextEncoder().encode(`key ${serialNumber}`)),
      serialNumber,
      receivedAt: this.now,
      notBefore,
      notAfter: notBefore + backdateSeconds + leafSeconds,
      issuers: { intermediates: [], root: {} as Issued["issuers"]["root"] },
    };
    const { podUid } = flight;
    // As `verifyAnswer` does with an answer that the clock says is of no use.
    if (issued.notAfter <= this.now || issued.notBefore > this.now + 300) {
      flight.reject(new SignetError("ca-answer-invalid", "is the clock right?"));
      return;
    }
    this.leaves.push({ issued, podUid, goodUntil: this.time + leafSeconds, authority: this.authority });
    flight.resolve(issued);
  }

  refuse(flight: Flight, error: SignetError): void {
    this.#land(flight);
    flight.reject(error);
  }

  /** The newest certificate of a pod. */
  newest(podUid: string): Leaf | undefined {
    return this.leaves.findLast((leaf) => leaf.podUid === podUid);
  }

  #land(flight: Flight): void {
    this.flights.splice(this.flights.indexOf(flight), 1);
  }

  #issue(what: IssueFor): Promise<Issued> {
    this.requests++;
    const [podUid = ""] = what.token.split(".");
    return new Promise((resolve, reject) => this.flights.push({ what, podUid, resolve, reject }));
  }

  #leafOf(issued: Issued): Leaf {
    const leaf = this.leaves.find((one) => one.issued === issued);
    if (leaf === undefined) throw new Error("a certificate of nobody");
    return leaf;
  }
}
