import { waitUntil } from "cloudflare:workers";
import type { Platform } from "../../compose.ts";
import { webCrypto } from "../../webcrypto.ts";
import { systemTimer } from "../timer.ts";
import type { Env } from "./bindings.ts";
import { workerLogger as logger } from "./log.ts";
import { openRateLimiter } from "./rate-limiter.ts";
import { openSink } from "./sinks.ts";
import { openText } from "./text-sources.ts";

/** Workers as a platform. */
export function workerPlatform(env: Env): Platform {
  return {
    clock: () => Date.now() / 1000,
    setTimer: systemTimer,
    fetch: (url, init) => fetch(url, init),
    logger,
    crypto: webCrypto,
    open: (location) => openText(env, location),
    clusterIssuer: undefined,
    openSink: (sink) => openSink(env, sink),
    openRateLimiter: (binding, rate) => openRateLimiter(env, binding, rate, logger),
    waitUntil: (work) => waitUntil(work),
  };
}
