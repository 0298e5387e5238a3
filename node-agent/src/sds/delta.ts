import { SignetError } from "@signet/shared/errors";
import type { SdsStreamOptions } from "./stream-options.ts";

/** One DeltaSecrets stream (xDS protocol, incremental). */
export class DeltaStream {
  readonly #options: SdsStreamOptions;

  constructor(options: SdsStreamOptions) {
    this.#options = options;
  }

  /**
   * Takes a message of the client.
   * @throws SignetError `malformed-request`, and whatever opening a secret throws
   */
  receive(_bytes: Uint8Array): void {
    this.#options.deps.log.debug(this.#options.who, "DeltaSecrets");
    throw new SignetError("malformed-request", "DeltaSecrets is not served yet");
  }

  close(): void {}
}
