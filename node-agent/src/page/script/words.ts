import type { SignetErrorCode } from "@signet/shared/errors";

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

const units: readonly (readonly [seconds: number, name: string])[] = [
  [year, "y"],
  [day, "d"],
  [hour, "h"],
  [minute, "min"],
  [1, "s"],
];

/** A span in its two largest units, such as `41 min 12 s`; what is less than nothing is `0 s`. */
export function span(seconds: number): string {
  return inUnits(seconds, 2);
}

/** A span in its largest unit alone, such as `41 min`. */
export function roughly(seconds: number): string {
  return inUnits(seconds, 1);
}

export function ago(seconds: number): string {
  return seconds < 2 ? "just now" : `${roughly(seconds)} ago`;
}

function inUnits(seconds: number, most: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const first = units.findIndex(([size]) => rest >= size);
  if (first === -1) return "0 s";
  const parts: string[] = [];
  for (const [size, name] of units.slice(first, first + most)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${amount} ${name}`);
  }
  return parts.join(" ");
}

/** A short span as people say it: `0.8 ms`, `25 ms`, `1.2 s`. */
export function milliseconds(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const value = seconds * 1_000;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ms`;
}

export function several(count: number, one: string, more = `${one}s`): string {
  return `${number.format(count)} ${count === 1 ? one : more}`;
}

export const number = new Intl.NumberFormat("en");

const errors: Partial<Record<SignetErrorCode, string>> = {
  "ca-unreachable": "The CA cannot be reached",
  "ca-busy": "The CA is busy",
  "ca-refused": "The CA refuses",
  "ca-answer-invalid": "The CA's answer was wrong and is not used",
  "ca-identity-differs": "The CA gave a certificate for another identity, which is not used",
  "cannot-sign": "The CA cannot sign at the moment",
  "rate-limited": "The CA limits how often it may be asked",
  "issuer-unavailable": "The CA cannot reach the issuer of tokens",
  "token-missing": "The CA found no token",
  "token-not-accepted": "The CA does not accept the pod's token",
  "token-expired": "The pod's token has expired",
  "node-not-entitled": "The CA does not let this node ask for the pod",
  "identity-not-entitled": "The pod is not entitled to this identity",
  "wrong-node": "The pod's token is for another node",
  internal: "Something went wrong that should not",
};

/** What an error is, for people; its message has the details. */
export function inWords(code: string): string {
  return errors[code as SignetErrorCode] ?? code.replaceAll("-", " ");
}
