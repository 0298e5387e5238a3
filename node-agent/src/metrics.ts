// From a CA next door to one that is about to time out.
const networkSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
// From a write to a socket that has room to a client that reads when it likes.
const localSeconds = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10];

/**
 * What the agent counts, as plain numbers: counting costs nothing and needs nothing loaded. `prometheus.ts` turns
 * them into text when somebody asks.
 */
export class Metrics {
  /** Connections that are open, of Envoys and of the kubelet. */
  connections = 0;
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
  /** Connections that were closed at once, by the reason: `file-descriptors` when too few are left. */
  readonly refusedConnections = new Map<string, number>();
  /** Sockets that were taken away and made again, by role: `shared`, `csi`, `registration` or `pod`. */
  readonly restoredSockets = new Map<string, number>();
  /** Lines of the log that could not be written. */
  logLinesLost = 0;
  /** Requests for certificates by result: `issued` or the code of the error. */
  readonly issuance = new Map<string, number>();
  /** Those of them that were to replace a certificate in use, by result. */
  readonly renewals = new Map<string, number>();
  /** Steps of the machine's clock that time alone does not explain, by direction. */
  readonly clockJumps = { forward: 0, back: 0 };
  /** Sequence of the trust bundle, undefined before the first. */
  bundleSequence: number | undefined;
  /** Seconds since the epoch of the CA's last word on what the bundle is. */
  bundleConfirmedAt: number | undefined;
  bundleFailures = 0;
  /** The kubelet's requests for a pod's socket by result: `published` or the code of the error. */
  readonly publishing = new Map<string, number>();
  /** Tokens that were found good by what the CA has published, while the CA itself could not be asked. */
  tokensVerifiedOffline = 0;
  /** Seconds since the epoch of the last answer of the CA that was no failure. */
  caLastSuccess: number | undefined;
  /** Requests to the CA, by `<url> <result>`: `ok`, or the code of the error. */
  readonly caRequests = new Map<string, number>();
  /** Items of the requests that asked for more than one certificate. */
  readonly caBatchItems = new Histogram([2, 4, 8, 16, 32, 64]);
  /** Requests that had to wait because the retry budget was used up. */
  retryBudgetExhausted = 0;
  /** Certificates whose life is far shorter than what was asked for. */
  shortLived = 0;
  /** From a request for a certificate to its answer. */
  readonly caSeconds = new Histogram(networkSeconds);
  /** From the moment a stream could be told of a change until the response was written to it. */
  readonly pushSeconds = new Histogram(localSeconds);
  /** From a response that was written to the client's word that it takes or refuses it. */
  readonly ackSeconds = new Histogram(localSeconds);

  issued(result: string): void {
    count(this.issuance, result);
  }

  caAsked(url: string, result: string): void {
    count(this.caRequests, `${url} ${result}`);
  }

  renewed(result: string): void {
    count(this.renewals, result);
  }

  published(result: string): void {
    count(this.publishing, result);
  }

  connectionRefused(reason: string): void {
    count(this.refusedConnections, reason);
  }

  socketRestored(role: "shared" | "csi" | "registration" | "pod"): void {
    count(this.restoredSockets, role);
  }

  refused(code: string): void {
    count(this.refusedStreams, code);
  }

  caAnswered(now: number): void {
    this.caLastSuccess = now;
  }
}

/**
 * How observed values are spread, as Prometheus counts it: for each upper bound how many were not above it.
 */
export class Histogram {
  readonly bounds: readonly number[];
  /** Cumulative, one for each of {@link bounds}. */
  readonly buckets: number[];
  sum = 0;
  count = 0;

  /** @param bounds upper bounds in the unit of the values, ascending */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.buckets = bounds.map(() => 0);
  }

  observe(value: number): void {
    for (let at = this.bounds.length - 1; at >= 0 && value <= (this.bounds[at] ?? 0); at--) {
      this.buckets[at] = (this.buckets[at] ?? 0) + 1;
    }
    this.sum += value;
    this.count++;
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
