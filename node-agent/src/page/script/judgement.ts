import { healthOf, isTroubled } from "../../workload-health.ts";
import type { WorkloadView } from "../../workload-view.ts";
import { inWords } from "./words.ts";

export type Mood = "good" | "warn" | "bad" | "quiet";

/** What the page makes of a workload at one moment. Seconds are counted from now: less than 0 is over. */
export interface Judgement {
  readonly mood: Mood;
  readonly state: string;
  /** Somebody should look. */
  readonly needsAttention: boolean;
  readonly secondsLeft: number;
  readonly secondsToRenewal: number;
  /** From 0, when the certificate was received, to 1, when it expires. */
  readonly elapsed: number;
  /** On the same scale. */
  readonly due: number;
}

/** @param now milliseconds since the epoch, by the agent's clock */
export function judge(workload: WorkloadView, now: number): Judgement {
  const received = Date.parse(workload.lastIssuedAt);
  const expires = Date.parse(workload.notAfter);
  const renews = Date.parse(workload.renewAt);
  const life = Math.max(1, expires - received);
  const part = (moment: number) => Math.min(1, Math.max(0, (moment - received) / life));
  const secondsLeft = (expires - now) / 1_000;
  const secondsToRenewal = (renews - now) / 1_000;
  return {
    ...verdict(workload, secondsLeft, secondsToRenewal),
    secondsLeft,
    secondsToRenewal,
    elapsed: part(now),
    due: part(renews),
  };
}

function verdict(
  { lastError, state, streams }: WorkloadView,
  secondsLeft: number,
  secondsToRenewal: number,
): Pick<Judgement, "mood" | "state" | "needsAttention"> {
  const health = healthOf({ state, streams, hasFailed: lastError !== null, secondsLeft, secondsToRenewal });
  const needsAttention = isTroubled(health);
  if (health === "idle") return { mood: "quiet", state: secondsLeft > 0 ? "No streams" : "Expired", needsAttention };
  if (health === "ok") return { mood: "good", state: secondsToRenewal > 0 ? "Valid" : "Renewing", needsAttention };
  return { mood: health === "expired" ? "bad" : "warn", state: troubles[health], needsAttention };
}

const troubles = {
  expired: "Expired",
  late: "Renewal overdue",
  refused: "Renewal refused",
  tokenless: "Waits for a token",
  failing: "Renewal fails",
} as const;

export type Filter = "all" | "attention" | "idle";
export type Order = "attention" | "expiry" | "name" | "renewed";

export function matches(workload: WorkloadView, { needsAttention }: Judgement, filter: Filter, words: string): boolean {
  if (filter === "attention" && !needsAttention) return false;
  if (filter === "idle" && workload.streams > 0) return false;
  if (words === "") return true;
  const { lastError, namespace, podName, podUid, serviceAccount, serialNumber, spiffeId } = workload;
  const error = lastError === null ? "" : `${inWords(lastError.code)} ${lastError.code}`;
  const text = [podName, namespace, serviceAccount, spiffeId, podUid, serialNumber, error].join(" ").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export interface Judged {
  readonly workload: WorkloadView;
  readonly judgement: Judgement;
}

const byName = (a: Judged, b: Judged) => compareNames(a.workload, b.workload);
const byExpiry = (a: Judged, b: Judged) => compare(a.workload.notAfter, b.workload.notAfter) || byName(a, b);

/** For sorting; two workloads that are alike keep one order, so that rows do not jump. */
export const orders: Readonly<Record<Order, (a: Judged, b: Judged) => number>> = {
  name: byName,
  expiry: byExpiry,
  renewed: (a, b) => compare(b.workload.lastIssuedAt, a.workload.lastIssuedAt) || byName(a, b),
  attention: (a, b) =>
    Number(b.judgement.needsAttention) - Number(a.judgement.needsAttention) ||
    (a.judgement.needsAttention ? byExpiry(a, b) : byName(a, b)),
};

// Of two pods with numbers in their names, 9 goes before 10.
const { compare } = new Intl.Collator("en", { numeric: true });

function compareNames(a: WorkloadView, b: WorkloadView): number {
  return (
    compare(a.namespace, b.namespace) ||
    compare(a.serviceAccount, b.serviceAccount) ||
    compare(a.podName, b.podName) ||
    compare(a.podUid, b.podUid)
  );
}
