import type { Platform } from "../compose.ts";
import type { TextSource } from "../text-source.ts";

/** The text at a location. Adds to `faults`, and gives undefined, where the platform has none of that kind. */
export function textAt(
  { open }: Pick<Platform, "open">,
  location: string,
  path: string,
  faults: string[],
): TextSource | undefined {
  const text = open(location);
  if (text === undefined) faults.push(`${path}: "${location}" cannot be used on this platform`);
  return text;
}
