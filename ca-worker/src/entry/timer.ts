import type { SetTimer } from "@signet/shared/deps";

/** The timer that every platform has. */
export const systemTimer: SetTimer = (run, milliseconds) => {
  const timer = setTimeout(run, milliseconds);
  return () => clearTimeout(timer);
};
