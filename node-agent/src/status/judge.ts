import { fromNow, span } from "@signet/shared/terminal/duration";
import { healthOf, isTroubled, type WorkloadHealth, workloadHealths } from "../workload-health.ts";
import type { Snapshot, Status, WorkloadStatus } from "./read.ts";

// A week to publish a successor, which takes a few refresh hints.
const rootWarningSeconds = 7 * 86_400;

export interface JudgedWorkload extends WorkloadStatus {
  readonly health: WorkloadHealth;
  /** Of the certificate's life, from when it was received, 0 to 1. */
  readonly shareLeft: number;
}

export function judgeWorkload(workload: WorkloadStatus, now: number): JudgedWorkload {
  const { lastIssuedAt, notAfter } = workload;
  const shareLeft = Math.min(1, Math.max(0, (notAfter - now) / Math.max(1, notAfter - lastIssuedAt)));
  return {
    ...workload,
    shareLeft,
    health: healthOf({
      state: workload.state,
      streams: workload.streams,
      hasFailed: workload.lastError !== null,
      secondsLeft: notAfter - now,
      secondsToRenewal: workload.renewAt - now,
    }),
  };
}

export function needsAttention({ health }: JudgedWorkload): boolean {
  return isTroubled(health);
}

/** Worst first; among equals whoever's certificate ends first. */
export function sortByTrouble(workloads: readonly JudgedWorkload[]): JudgedWorkload[] {
  const rank = ({ health }: JudgedWorkload) => workloadHealths.indexOf(health);
  return [...workloads].sort((a, b) => rank(a) - rank(b) || a.notAfter - b.notAfter);
}

/** One line for each thing that somebody should look at; none when all is well. */
export function attention({ status }: Pick<Snapshot, "status">, workloads: readonly JudgedWorkload[]): string[] {
  return [
    ...workloadHealths.flatMap((health) => {
      const count = workloads.filter((one) => one.health === health && needsAttention(one)).length;
      return count === 0 ? [] : [`${count} ${count === 1 ? "workload" : "workloads"} ${health}`];
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
