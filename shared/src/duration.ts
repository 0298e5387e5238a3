import { SignetError } from "./errors.ts";

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/**
 * Seconds of a duration such as `90s`, `15m`, `1h`, `1h30m` or `7d`: units from large to small, each once.
 * @throws SignetError `config-invalid`
 */
export function parseDuration(text: string): number {
  const match = /^(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$/.exec(text);
  if (match === null || text === "") {
    throw new SignetError("config-invalid", `"${text}" is no duration; write it as 30s, 15m, 1h30m or 7d`);
  }
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = match;
  return (
    Number(days) * unitSeconds.d + Number(hours) * unitSeconds.h + Number(minutes) * unitSeconds.m + Number(seconds)
  );
}

/** A duration as people write it: `5400` becomes `1h30m`. Fractions of a second are cut off. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.trunc(seconds));
  let text = "";
  for (const [unit, size] of Object.entries(unitSeconds).sort((a, b) => b[1] - a[1])) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}
