import type { AuditEvent } from "./event.ts";

/** A place outside of the instance that audit events go to. */
export interface AuditSink {
  /** For messages and metrics; no secret is in it. */
  readonly name: string;
  /** Most events that it takes at once. */
  readonly maxEvents: number;
  /**
   * Gives back once the events are kept there.
   * @throws SignetError with `retryAfterSeconds` where the same events may be taken later
   */
  send(events: readonly AuditEvent[]): Promise<void>;
}
