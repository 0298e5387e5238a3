import type { Awaitable, Clock, Logger } from "@signet/shared/deps";
import type { Audit, Issuance } from "../audit.ts";
import type { Delivery } from "./delivery.ts";
import { describeIssuance, describeRefusal, iso } from "./describe.ts";
import type { AuditEvent, UntimedEvent } from "./event.ts";
import { logEvent } from "./log.ts";

export interface RecordingOptions {
  /** Whether events also are log lines. */
  readonly log: boolean;
  readonly deliveries: readonly Delivery[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An audit that writes events into the log and sends them where they are to be kept. */
export function recordingAudit({ log, deliveries, clock, logger }: RecordingOptions): Audit {
  const required = deliveries.filter((delivery) => delivery.required);
  const others = deliveries.filter((delivery) => !delivery.required);

  const timed = (event: UntimedEvent): AuditEvent => ({ ...event, time: iso(clock()) });

  function record(event: UntimedEvent, to: readonly Delivery[]): void {
    if (log) logEvent(logger, event);
    if (to.length === 0) return;
    const sent = timed(event);
    for (const delivery of to) delivery.add(sent);
  }

  function signing(issuance: Issuance): Awaitable<void> {
    const event = describeIssuance("signing", issuance);
    record(event, others);
    if (required.length === 0) return;
    const sent = timed(event);
    return Promise.all(required.map((delivery) => delivery.deliver(sent))).then(() => {});
  }

  return {
    signing,
    signed: (issuance) => record(describeIssuance("signed", issuance), deliveries),
    repeated: (issuance) => record(describeIssuance("repeated", issuance), deliveries),
    refused: (requestId, error, caller) => record(describeRefusal(requestId, error, caller), deliveries),
    batch(requestId, items, agent) {
      const fields = { event: "batch", requestId, items, agentPod: agent?.podName };
      logger.debug(fields, "batch of requests for certificates");
    },
  };
}
