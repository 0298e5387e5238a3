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

// A certificate that has little time left is tried for again after this part of it, so that the CA may come back late and
// still in time.
const partOfRest = 0.25;
const shortestSeconds = 0.2;

/** Most seconds to wait for the next try when the certificate that it is to renew is good for `leftSeconds`. */
export function renewalWaitSeconds(leftSeconds: number, random: () => number): number {
  return shortestSeconds + leftSeconds * partOfRest * random();
}
