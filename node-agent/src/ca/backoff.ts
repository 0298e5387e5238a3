const baseSeconds = 0.1;
const capSeconds = 30;
// A CA that names a longer time is asked again after this one, so that a mistaken header cannot put an agent to sleep.
const longestRetryAfterSeconds = 300;

/**
 * Seconds to wait before the next try: exponential with full jitter, so that many waiting at once spread out.
 * @param failures how many tries in a row have failed, from 1
 * @param retryAfterSeconds what the CA asked for; never undercut
 */
export function backoffSeconds(failures: number, random: () => number, retryAfterSeconds = 0): number {
  const ceiling = Math.min(capSeconds, baseSeconds * 2 ** Math.min(failures, 20));
  return Math.min(retryAfterSeconds, longestRetryAfterSeconds) + ceiling * random();
}
