const answerMilliseconds = 10_000;
// While another endpoint could be asked, a silent one is not waited for longer than this at first.
const switchMilliseconds = 3_000;
const shortestMilliseconds = 2_000;

export interface Situation {
  /** How long a CA may take that there is no hurry with. */
  readonly usualMilliseconds: number | undefined;
  /** Others wait behind this request, or could be asked in its place. */
  readonly inTheWay: boolean;
  /** Times that the endpoint has failed in a row. */
  readonly failures: number;
  /** Seconds until the first certificate runs out that the request is to renew. */
  readonly expiresInSeconds: number;
  /** What is left of the time for all tries together. */
  readonly leftMilliseconds: number;
}

/** How long one request to the CA may take. */
export function attemptMilliseconds(situation: Situation): number {
  const { expiresInSeconds, failures, inTheWay, leftMilliseconds, usualMilliseconds = answerMilliseconds } = situation;
  // One that is silent must not hold up the others for long, but each time is given more: it may only be slow.
  const tries = 1 + failures;
  const patience = inTheWay ? switchMilliseconds * tries : usualMilliseconds;
  // Several tries must fit into what is left of a certificate.
  const share = Math.max((expiresInSeconds * 1_000) / 3, shortestMilliseconds * tries);
  const left = Math.max(leftMilliseconds, shortestMilliseconds);
  return Math.floor(Math.min(usualMilliseconds, patience, share, left));
}
