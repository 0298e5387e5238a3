/**
 * What the agent counts, as plain numbers: counting costs nothing and needs nothing loaded. `prometheus.ts` turns
 * them into text when somebody asks.
 */
export class Metrics {
  /** SDS streams that are open. */
  streams = 0;
  /** Calls that somebody identified has open, by the method of Envoy's secret discovery service. */
  readonly openStreams = { StreamSecrets: 0, DeltaSecrets: 0, FetchSecrets: 0 };
  pushes = 0;
  acks = 0;
  nacks = 0;
  /** Requests for resources that Signet does not have. */
  unknownNames = 0;
  /** Streams ended by the agent, by the code of the reason. */
  readonly refusedStreams = new Map<string, number>();
  /** Requests for certificates by result: `issued` or the code of the error. */
  readonly issuance = new Map<string, number>();
  /** Sequence of the trust bundle, undefined before the first. */
  bundleSequence: number | undefined;
  bundleFailures = 0;
  /** The kubelet's requests for a pod's socket by result: `published` or the code of the error. */
  readonly publishing = new Map<string, number>();
  /** Seconds since the epoch of the last answer of the CA that was no failure. */
  caLastSuccess: number | undefined;
  readonly caSeconds: Histogram = { buckets: caSecondsBuckets.map(() => 0), sum: 0, count: 0 };

  issued(result: string): void {
    count(this.issuance, result);
  }

  published(result: string): void {
    count(this.publishing, result);
  }

  refused(code: string): void {
    count(this.refusedStreams, code);
  }

  caAnswered(now: number): void {
    this.caLastSuccess = now;
  }

  caTook(seconds: number): void {
    const { caSeconds } = this;
    caSecondsBuckets.forEach((limit, at) => {
      if (seconds <= limit) caSeconds.buckets[at] = (caSeconds.buckets[at] ?? 0) + 1;
    });
    caSeconds.sum += seconds;
    caSeconds.count++;
  }
}

/** Upper bounds in seconds, from a CA next door to one that is about to time out. */
export const caSecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

export interface Histogram {
  /** Cumulative, one for each of {@link caSecondsBuckets}. */
  readonly buckets: number[];
  sum: number;
  count: number;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
