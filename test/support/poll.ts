import { setTimeout as sleep } from "node:timers/promises";

export interface PollOptions {
  /** Milliseconds before giving up; generous, because it only matters when something is broken. */
  readonly within?: number;
  readonly every?: number;
  /** Ends the waiting early: whatever it returns is thrown. */
  readonly giveUp?: () => Error | undefined;
}

/**
 * Asks `check` until it gives something else than undefined or false, and gives that. What `check` throws counts as
 * "not yet" and is told when time is up.
 */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  { within = 30_000, every = 50, giveUp }: PollOptions = {},
): Promise<T> {
  const end = Date.now() + within;
  let last: unknown;
  for (;;) {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    const reason = giveUp?.();
    if (reason !== undefined) throw reason;
    if (Date.now() > end) {
      const because = last instanceof Error ? ` (${last.message})` : "";
      throw new Error(`gave up after ${Math.round(within / 1000)} s of waiting for ${what}${because}`, { cause: last });
    }
    await sleep(every);
  }
}

/** Waits until a GET of `url` is answered with 200. */
export async function untilOk(what: string, url: string, options: PollOptions = {}): Promise<void> {
  await until(
    what,
    async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${url} answers ${response.status}: ${text.slice(0, 200)}`);
      return true;
    },
    options,
  );
}
