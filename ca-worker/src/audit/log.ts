import type { Logger } from "@signet/shared/deps";
import type { AuditEvent } from "./event.ts";

const messages = {
  signing: "certificate about to be signed",
  signed: "certificate signed",
  repeated: "certificate given out again",
  refused: "certificate refused",
} as const satisfies Record<AuditEvent["event"], string>;

/** An event as a log line; the logger itself says the time. */
export function logEvent(logger: Logger, { time: _, ...fields }: AuditEvent): void {
  const message = messages[fields.event];
  if (fields.event === "refused") logger.warn(fields, message);
  else logger.info(fields, message);
}
