import type { Logger } from "@signet/shared/deps";
import type { Rate, RateLimiter } from "../../rate-limit/limiter.ts";
import { bindingWith, type Env, type RateLimitBinding } from "./bindings.ts";

/**
 * A rate-limit binding as a limiter: it counts for all isolates of one Cloudflare location. Undefined where there is no
 * such binding. Should it fail, requests are let through: it is there to protect the CA, not to be one more thing that
 * it stands or falls with.
 */
export function openRateLimiter(env: Env, name: string, rate: Rate, logger: Logger): RateLimiter | undefined {
  const binding = bindingWith<RateLimitBinding>(env, name, "limit");
  if (binding === undefined) return undefined;
  return {
    async admit(key, waiting = 0) {
      try {
        if (!(await binding.limit({ key })).success) return secondsToWait(rate, waiting);
      } catch (error) {
        const reason = error instanceof Error ? error.name : "unknown";
        logger.warn({ event: "rate-limit", binding: name, error: reason }, "the rate limit cannot be asked");
      }
      return undefined;
    },
  };
}

/** The binding does not say when; after a whole period it has room again, for as many as it lets through in one. */
function secondsToWait({ certificates, perSeconds }: Rate, waiting: number): number {
  return perSeconds * (1 + Math.floor(waiting / certificates));
}
