import type { Awaitable, Clock, Logger } from "@signet/shared/deps";
import type { Audit, Issuance } from "../audit.ts";
import type { Delivery } from "./delivery.ts";
import { describeIssuance, describeRefusal } from "./describe.ts";
import type { AuditEvent } from "./event.ts";
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

  function record(event: AuditEvent, to: readonly Delivery[]): void {
    if (log) logEvent(logger, event);
    for (const delivery of to) delivery.add(event);
  }

  function signing(issuance: Issuance): Awaitable<void> {
    const event = describeIssuance("signing", issuance, clock());
    record(event, others);
    if (required.length > 0) return Promise.all(required.map((delivery) => delivery.deliver(event))).then(() => {});
  }

  return {
    signing,
    signed: (issuance) => record(describeIssuance("signed", issuance, clock()), deliveries),
    repeated: (issuance) => record(describeIssuance("repeated", issuance, clock()), deliveries),
    refused: (requestId, error, caller) => record(describeRefusal(requestId, error, caller, clock()), deliveries),
    batch(requestId, items, agent) {
      const fields = { event: "batch", requestId, items, agentPod: agent?.podName };
      logger.debug(fields, "batch of requests for certificates");
    },
  };
}
