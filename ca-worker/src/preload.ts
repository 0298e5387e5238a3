import type { Composed } from "./compose.ts";

/**
 * Gets what the next requests of an instance need: the authorities' keys, and those of the first so many issuers. Never
 * rejects: what cannot be had now is told by its own log line, and asked for again by the requests that need it.
 */
export async function preload(
  { authorities, issuers }: Pick<Composed, "authorities" | "issuers">,
  maxIssuers = issuers.length,
): Promise<void> {
  await Promise.allSettled([authorities.refresh(), ...issuers.slice(0, maxIssuers).map(({ keys }) => keys.warm())]);
}
