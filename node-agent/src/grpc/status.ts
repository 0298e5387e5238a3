/** Status codes of gRPC by their names (grpc: `doc/statuscodes.md`). */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

export function statusName(code: number): string {
  return Object.entries(Status).find(([, value]) => value === code)?.[0] ?? `status ${code}`;
}

/** How a call ends. */
export interface CallEnd {
  readonly code: number;
  /** For a person; what a client gets is foreign text to it. */
  readonly message: string;
}
