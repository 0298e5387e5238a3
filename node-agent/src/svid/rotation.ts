// Between these parts of its life a certificate is renewed: early enough for hours of a CA's absence, and spread, so
// that workloads which started together do not renew together.
const earliest = 0.4;
const latest = 0.6;

/**
 * When to renew a certificate, in seconds since the epoch. Its life is counted from when it was received, because
 * `notBefore` is back-dated for clock skew and would put the point of a short life into the past.
 */
export function drawRenewal(receivedAt: number, notAfter: number, random: () => number): number {
  const life = Math.max(0, notAfter - receivedAt);
  return receivedAt + life * (earliest + (latest - earliest) * random());
}
