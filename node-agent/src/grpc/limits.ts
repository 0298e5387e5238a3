/**
 * What clients of one server may take, so that none of them can keep the others from being served. A client that is
 * trusted is one for which somebody else's word is there: the CA has accepted its token, or the kubelet made its socket.
 */
export interface GrpcLimits {
  /** Connections at once. A further one takes the place of the oldest that is not trusted; without one it is closed. */
  readonly maxConnections: number;
  /** Calls at once on one connection; HTTP/2 refuses further ones (SETTINGS_MAX_CONCURRENT_STREAMS). */
  readonly maxCallsPerConnection: number;
  /** The same for a connection that is not trusted (yet): further ones end with RESOURCE_EXHAUSTED. */
  readonly maxUntrustedCallsPerConnection: number;
  /** Calls at once in all. A further one takes the place of a connection as for {@link maxConnections}. */
  readonly maxCalls: number;
  /** Bytes of one message; a longer one ends its call with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  /** Bytes of messages that have come in part, in all; beyond it, the connection of the oldest is closed. */
  readonly maxPartialBytes: number;
  /** A connection without a call, whatever it has sent so far, is closed after this time. */
  readonly idleMilliseconds: number;
  /** A call whose first message has not come after this time, or one that was begun, ends with DEADLINE_EXCEEDED. */
  readonly messageMilliseconds: number;
  /** A connection on which a message or a status has waited for the client to read for this time is closed. */
  readonly sendMilliseconds: number;
}

export const defaultLimits: GrpcLimits = {
  maxConnections: 4_096,
  // One Envoy opens a stream for each place that names a secret; google_grpc puts those of a process on one connection.
  maxCallsPerConnection: 1_024,
  maxUntrustedCallsPerConnection: 128,
  maxCalls: 16_384,
  // Envoy's first request lists its extensions, some tens of KiB.
  maxMessageBytes: 256 * 1_024,
  maxPartialBytes: 8 * 1_024 * 1_024,
  idleMilliseconds: 15_000,
  messageMilliseconds: 15_000,
  // A client that is stopped in a debugger, or starved, for longer than this connects again when it goes on.
  sendMilliseconds: 60_000,
};
