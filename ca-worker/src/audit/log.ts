import type { Logger } from "@signet/shared/deps";
import type { UntimedEvent } from "./event.ts";

const messages = {
  signing: "certificate about to be signed",
  signed: "certificate signed",
  repeated: "certificate given out again",
  refused: "certificate refused",
} as const satisfies Record<UntimedEvent["event"], string>;

/** An event as a log line; the logger itself says the time. */
export function logEvent(logger: Logger, event: UntimedEvent): void {
  const message = messages[event.event];
  if (event.event === "refused") logger.warn(event, message);
  else logger.info(event, message);
}
