import type { SignetErrorCode } from "@signet/shared/errors";
import type { CaEndpointView } from "./ca/endpoint-view.ts";

/**
 * The agent as people and programs may see it, the answer of `GET /v1/status`: no key, no token. Times are RFC 3339 in
 * UTC.
 */
export interface StatusView {
  readonly version: string;
  /** Version of Node.js. */
  readonly nodeVersion: string;
  readonly startedAt: string;
  /** The agent's clock, to compare the other times with. */
  readonly now: string;
  readonly trustDomain: string;
  /** Of Kubernetes; null where the agent was not told. */
  readonly nodeName: string | null;
  /** Path of the socket that the node's pods share, null where there is none. */
  readonly socket: string | null;
  /** Why the agent does not do its work (yet), as `/readyz` says it; null when it does. */
  readonly notReady: string | null;
  /** Null where the agent is no CSI driver. */
  readonly csi: {
    readonly registered: boolean;
    /** Null when registered. */
    readonly reason: string | null;
    readonly volumes: number;
    /** Volumes for which the kubelet has not brought a token yet. */
    readonly withoutToken: number;
  } | null;
  /** Open ones, of Envoys and of the kubelet. */
  readonly connections: number;
  readonly streams: number;
  readonly streamsByMethod: Readonly<Record<"StreamSecrets" | "DeltaSecrets" | "FetchSecrets", number>>;
  /** Workloads that hold a certificate; `/v1/workloads` lists them. */
  readonly workloads: number;
  /** In which part of its life, from when it was received to its end, a certificate is renewed. */
  readonly renewalWindow: { readonly from: number; readonly to: number };
  readonly ca: readonly CaEndpointStatus[];
  /** Null before the first one was learned. */
  readonly bundle: {
    readonly sequence: number;
    readonly learnedAt: string;
    readonly refreshHintSeconds: number;
    readonly roots: readonly RootView[];
  } | null;
  readonly took: {
    /** From a request to the CA to its answer. */
    readonly ca: DurationsView;
    /** From a change to its response written to a stream. */
    readonly push: DurationsView;
    /** From a response written to the client's answer to it. */
    readonly ack: DurationsView;
  };
  /** Since the start of the agent. */
  readonly counters: {
    readonly pushes: number;
    readonly acks: number;
    readonly nacks: number;
    readonly unknownNames: number;
    readonly bundleFailures: number;
    /** Certificates that were to replace one in use, by `issued` or code of the failure. */
    readonly renewals: Readonly<Record<string, number>>;
    /** By code of the reason. */
    readonly refusedStreams: Readonly<Record<string, number>>;
    /** By reason. */
    readonly refusedConnections: Readonly<Record<string, number>>;
    /** Steps of the machine's clock. */
    readonly clockJumps: { readonly forward: number; readonly back: number };
    /** By `issued` or code of the failure. */
    readonly issuance: Readonly<Record<string, number>>;
  };
}

/** One URL of the CA; members as in {@link CaEndpointView}, null where there is nothing to tell. */
export interface CaEndpointStatus {
  readonly url: string;
  readonly state: CaEndpointView["state"];
  readonly lastSuccessAt: string | null;
  readonly lastFailureAt: string | null;
  readonly lastError: { readonly code: SignetErrorCode; readonly message: string } | null;
  readonly retryAt: string | null;
}

/** Seconds, since the start of the agent; null while nothing was measured. */
export interface DurationsView {
  readonly count: number;
  readonly mean: number | null;
  /** Within which 99 % were, rounded up to a bound of the histogram; null also where that is beyond the last bound. */
  readonly p99: number | null;
}

export interface RootView {
  /** Such as `CN=example root, O=Example`. */
  readonly subject: string;
  readonly notAfter: string;
  /** Lower-case hex, of the whole certificate. */
  readonly sha256: string;
}
