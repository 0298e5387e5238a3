const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** A span for people, in its two largest units: `2d 3h`, `41m`, `5m 10s`, `12s`. @param seconds rounded down; sign ignored */
export function span(seconds: number): string {
  let rest = Math.floor(Math.abs(seconds));
  const parts: string[] = [];
  const first = units.findIndex(([, size]) => rest >= size);
  if (first === -1) return "0s";
  for (const [name, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${name}`);
  }
  return parts.join(" ");
}

/** A moment as seen from now: `in 41m`, `12s ago`, `now`. */
export function fromNow(seconds: number, now: number): string {
  const away = seconds - now;
  if (Math.abs(away) < 1) return "now";
  return away > 0 ? `in ${span(away)}` : `${span(away)} ago`;
}

/** RFC 3339 in UTC, to the second. */
export function iso(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString().replace(/\.\d+Z$/, "Z");
}
