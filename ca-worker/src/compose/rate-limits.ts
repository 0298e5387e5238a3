import type { Platform } from "../compose.ts";
import type { Config } from "../config.ts";
import type { RateLimits } from "../rate-limit/admit.ts";
import type { RateLimiter } from "../rate-limit/limiter.ts";
import { MemoryRateLimiter } from "../rate-limit/memory.ts";

/** Adds to `faults` where a limit names a binding that the platform has not. */
export function composeRateLimits(
  { rateLimits: { perNode, perIssuer } }: Config,
  { clock, openRateLimiter }: Platform,
  faults: string[],
): RateLimits {
  const limiter = (limit: Config["rateLimits"]["perNode"], path: string): RateLimiter | undefined => {
    if (limit === undefined) return undefined;
    const { binding, certificates, per } = limit;
    const rate = { certificates, perSeconds: per };
    if (binding === undefined) return new MemoryRateLimiter(rate, clock);
    const bound = openRateLimiter?.(binding, rate);
    if (bound === undefined)
      faults.push(`rateLimits.${path}.binding: there is no rate-limit binding "${binding}" here`);
    return bound;
  };
  return { perNode: limiter(perNode, "perNode"), perIssuer: limiter(perIssuer, "perIssuer") };
}
