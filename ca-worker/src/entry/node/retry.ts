import { setTimeout as sleep } from "node:timers/promises";
import { asSignetError, type SignetError } from "@signet/shared/errors";

export interface RetryOptions {
  /** Seconds after which the last error is thrown. */
  readonly patienceSeconds: number;
  readonly onFailure: (error: SignetError) => void;
}

/** Does `task` again while what it throws can pass by itself, that is, has `retryAfterSeconds`. */
export async function retrying<T>(task: () => Promise<T>, { patienceSeconds, onFailure }: RetryOptions): Promise<T> {
  const end = Date.now() + patienceSeconds * 1000;
  for (let failures = 0; ; failures++) {
    try {
      return await task();
    } catch (error) {
      const known = asSignetError(error, "internal");
      const wait = backoffSeconds(failures) * 1000;
      if (known.retryAfterSeconds === undefined || Date.now() + wait > end) throw known;
      onFailure(known);
      await sleep(wait);
    }
  }
}

const longestSeconds = 60;

/** From half a second, doubled each time, up to a minute; half of it by chance, so that replicas do not ask as one. */
export function backoffSeconds(failures: number): number {
  return Math.min(0.5 * 2 ** failures, longestSeconds) * (0.5 + Math.random() / 2);
}

/**
 * Does `task` now and then again and again, each time after the seconds that it gives. It must not throw.
 * @returns what ends it
 */
export function repeating(task: () => Promise<number>): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    const seconds = await task();
    if (!stopped) timer = setTimeout(() => void run(), seconds * 1000).unref();
  };
  void run();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
