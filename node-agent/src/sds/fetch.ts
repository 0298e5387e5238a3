import { asSignetError, SignetError } from "@signet/shared/errors";
import { readRequest, writeResponse } from "./message.ts";
import { wildcard } from "./names.ts";
import type { SdsOptions } from "./stream-options.ts";
import { UnknownNames } from "./unknown-names.ts";
import { chooseFor } from "./validator.ts";
import { WantedSecrets } from "./wanted.ts";

/**
 * Answers FetchSecrets: waits until every secret that is asked for and known here is there, and gives them all. No names,
 * or `*`, mean everything. Names that are not known are told of, and left out of the answer.
 * @param signal ends the wait with its reason; the deadline is the caller's
 * @throws SignetError `malformed-request`; `not-found` when none of the names is known; the reason of `signal`; whatever
 * opening a secret throws
 */
export async function fetchSecrets(options: SdsOptions, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const { everything, deps } = options;
  const { node, resourceNames } = readRequest(bytes);
  const validator = chooseFor(node, options);
  const all = resourceNames.length === 0 || resourceNames.includes(wildcard);
  const named = new Set([...(all ? everything : []), ...resourceNames]);
  named.delete(wildcard);

  let wake = () => {};
  const wanted = new WantedSecrets(options, () => wake());
  deps.metrics.openStreams.FetchSecrets++;
  try {
    const unknown = [...named].filter((name) => !wanted.want(name));
    new UnknownNames(options).tell(unknown);
    if (unknown.length === named.size) throw new SignetError("not-found", "none of the names is known here");
    wanted.hold();
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(asSignetError(signal.reason, "internal"));
      wake = () => {
        if (!wanted.isComplete) return;
        signal.removeEventListener("abort", abort);
        resolve();
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
      wake();
    });
    deps.metrics.pushes++;
    return writeResponse("", wanted.takeDue(validator));
  } finally {
    wanted.close();
    deps.metrics.openStreams.FetchSecrets--;
  }
}
