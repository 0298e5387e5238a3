/** How a workload is, worst first: what `signet-agent status` and the page both go by. */
export const workloadHealths = ["expired", "late", "refused", "tokenless", "failing", "idle", "ok"] as const;
export type WorkloadHealth = (typeof workloadHealths)[number];

// A renewal takes a moment; one that has not begun after this long does not happen by itself.
const overdueSeconds = 30;

export interface WorkloadSigns {
  /** Of the state machine in `svid/life.ts`. */
  readonly state: string;
  readonly streams: number;
  /** The last request brought nothing. */
  readonly hasFailed: boolean;
  /** From now; less than 0 is over. */
  readonly secondsLeft: number;
  readonly secondsToRenewal: number;
}

export function healthOf(signs: WorkloadSigns): WorkloadHealth {
  const { hasFailed, secondsLeft, secondsToRenewal, state, streams } = signs;
  // Nobody is there to renew for; whoever comes back starts it.
  const isIdle = streams === 0;
  if (secondsLeft <= 0) return isIdle ? "idle" : "expired";
  if (state === "refused" || state === "tokenless") return state;
  if (hasFailed) return "failing";
  if (isIdle) return "idle";
  return secondsToRenewal < -overdueSeconds ? "late" : "ok";
}

/** Somebody should look. */
export function isTroubled(health: WorkloadHealth): boolean {
  return health !== "ok" && health !== "idle";
}
