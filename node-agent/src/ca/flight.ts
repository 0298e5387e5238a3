import type { SignetError } from "@signet/shared/errors";
import type { Endpoint } from "./endpoint.ts";

/** Something to ask the CA for. */
export interface Job {
  /** Lower goes first; for a renewal, when its certificate runs out. */
  readonly priority: number;
  /** It repeats what failed before: it draws on the retry budget. */
  readonly retry: boolean;
  /** When the certificate runs out that is to be renewed, in seconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** Length of what is sent for it in a batch; undefined when it goes in no batch. */
  readonly characters: number | undefined;
}

/** A job that is not settled yet. */
export interface Waiting<Asked, Result> {
  readonly job: Asked;
  readonly tried: Set<Endpoint>;
  /** Milliseconds of `performance.now()`. */
  readonly deadline: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: SignetError) => void;
  /** What an endpoint said that another is asked for a second opinion about. */
  refusal?: SignetError;
  /** It had to wait for the retry budget. */
  heldBack?: true;
}

/** One request, for one job or more. */
export interface Flight<Asked, Result> {
  readonly endpoint: Endpoint;
  readonly group: readonly Waiting<Asked, Result>[];
  readonly trial: boolean;
  /** It draws on the retry budget. */
  readonly repeat: boolean;
}

/** Whether it repeats what failed before, and draws on the retry budget. */
export function isRepeat({ job, tried }: { readonly job: Job; readonly tried: ReadonlySet<Endpoint> }): boolean {
  return job.retry || tried.size > 0;
}
