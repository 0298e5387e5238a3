// Between these parts of its life a certificate is renewed: early enough for hours of a CA's absence, and spread, so
// that workloads which started together do not renew together.
export const renewalWindow = { from: 0.4, to: 0.6 } as const;

/** Times of a certificate, in seconds since the epoch. */
export interface Times {
  /** By our own clock, which may be wrong. */
  readonly receivedAt: number;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * When to renew a certificate, in seconds since the epoch. Its life is counted from when it was received, because
 * `notBefore` is back-dated for clock skew and would put the point of a short life into the past; but it is no longer
 * than the certificate says, or a clock that is behind would put the point behind its end.
 */
export function drawRenewal({ receivedAt, notBefore, notAfter }: Times, random: () => number): number {
  const life = Math.max(0, Math.min(notAfter - receivedAt, notAfter - notBefore));
  const { from, to } = renewalWindow;
  return receivedAt + life * (from + (to - from) * random());
}
