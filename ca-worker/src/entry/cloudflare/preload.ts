import type { Composed } from "../../compose.ts";

// A free-plan Worker has 50 subrequests in a request.
const maxIssuers = 16;

/**
 * Gets what the next requests of an isolate need: the authorities' keys and the issuers'. After the answer to the first
 * request, which has itself waited for no more than it needed.
 */
export async function preload({ authorities, issuers }: Composed): Promise<void> {
  await Promise.allSettled([authorities.refresh(), ...issuers.slice(0, maxIssuers).map(({ keys }) => keys.warm())]);
}
