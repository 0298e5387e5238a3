import { fromNow, span } from "../terminal/duration.ts";
import type { Snapshot, Status, WorkloadStatus } from "./read.ts";

/** How a workload is, worst first. */
export const workloadStates = ["expired", "late", "failing", "ok"] as const;
export type WorkloadState = (typeof workloadStates)[number];

// Renewal is planned at 40 to 60 % of a certificate's life: with less than this left it has failed for long.
const smallestShareLeft = 0.25;
// A week to publish a successor, which takes a few refresh hints.
const rootWarningSeconds = 7 * 86_400;

export interface JudgedWorkload extends WorkloadStatus {
  readonly state: WorkloadState;
  /** Of the certificate's life, 0 to 1. */
  readonly shareLeft: number;
}

export function judgeWorkload(workload: WorkloadStatus, now: number): JudgedWorkload {
  const { lastError, notAfter, notBefore } = workload;
  const shareLeft = Math.min(1, Math.max(0, (notAfter - now) / Math.max(1, notAfter - notBefore)));
  return { ...workload, shareLeft, state: stateOf() };

  function stateOf(): WorkloadState {
    if (notAfter <= now) return "expired";
    if (shareLeft < smallestShareLeft) return "late";
    return lastError === null ? "ok" : "failing";
  }
}

/** Worst first; among equals whoever's certificate ends first. */
export function sortByTrouble(workloads: readonly JudgedWorkload[]): JudgedWorkload[] {
  const rank = ({ state }: JudgedWorkload) => workloadStates.indexOf(state);
  return [...workloads].sort((a, b) => rank(a) - rank(b) || a.notAfter - b.notAfter);
}

/** One line for each thing that somebody should look at; none when all is well. */
export function attention({ status }: Pick<Snapshot, "status">, workloads: readonly JudgedWorkload[]): string[] {
  return [
    ...workloadStates.flatMap((state) => {
      const count = state === "ok" ? 0 : workloads.filter((one) => one.state === state).length;
      return count === 0 ? [] : [`${count} ${count === 1 ? "workload" : "workloads"} ${state}`];
    }),
    ...status.ca.filter(({ state }) => state === "failing").map(({ url }) => `the CA at ${url} fails`),
    ...bundleTrouble(status),
    ...(status.notReady === null ? [] : [`not ready: ${status.notReady}`]),
  ];
}

function bundleTrouble({ bundle, now }: Status): string[] {
  if (bundle === null) return ["no trust bundle yet"];
  return bundle.roots
    .filter(({ notAfter }) => notAfter - now < rootWarningSeconds)
    .map(({ notAfter, subject }) =>
      notAfter <= now
        ? `the root ${subject} ended ${fromNow(notAfter, now)}`
        : `the root ${subject} ends in ${span(notAfter - now)}`,
    );
}
