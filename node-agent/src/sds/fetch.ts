import { SignetError } from "@signet/shared/errors";
import type { SdsOptions } from "./stream-options.ts";

/**
 * Answers FetchSecrets: waits until all that is asked for and known here is there.
 * @param signal ends the wait, with its reason; the caller gives the deadline
 * @throws SignetError `malformed-request`; `not-found` when none of the names is known; whatever opening a secret throws
 */
export async function fetchSecrets(
  _options: SdsOptions,
  _request: Uint8Array,
  _signal: AbortSignal,
): Promise<Uint8Array> {
  throw new SignetError("malformed-request", "FetchSecrets is not served yet");
}
