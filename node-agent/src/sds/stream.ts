import { readRequest, writeResponse } from "./message.ts";
import { wildcard } from "./names.ts";
import { Replies } from "./replies.ts";
import type { SdsStreamOptions } from "./stream-options.ts";
import { UnknownNames } from "./unknown-names.ts";
import { chooseFor, type Validator } from "./validator.ts";
import { WantedSecrets } from "./wanted.ts";

/**
 * One StreamSecrets stream, state of the world (xDS protocol, `reference/envoy-edge.md` A1). It sends what the client
 * wants and has not been sent in this content yet: on the first request, on a name that is new, and on a change; never
 * the same again, whatever the client acknowledges or refuses.
 */
export class SdsStream {
  readonly #options: SdsStreamOptions;
  readonly #wanted: WantedSecrets;
  readonly #replies: Replies;
  readonly #unknown: UnknownNames;
  #validator: Validator;
  #asked = false;
  /** Nothing has been named yet. */
  #unnamed = true;
  #closed = false;

  constructor(options: SdsStreamOptions) {
    this.#options = options;
    this.#validator = options.validator;
    this.#wanted = new WantedSecrets(options, () => this.#replies.flush());
    this.#replies = new Replies(options, (nonce) => this.#compose(nonce));
    this.#unknown = new UnknownNames(options);
    options.deps.metrics.openStreams.StreamSecrets++;
  }

  /**
   * Takes a message of the client.
   * @throws SignetError `malformed-request`, and whatever opening a secret throws
   */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    const request = readRequest(bytes);
    // Only the first request is sure to say who the Envoy is.
    if (!this.#asked) this.#validator = chooseFor(request.node, this.#options);
    this.#asked = true;
    const answerTo = this.#replies.answered(request, this.#wanted.names);
    // The client wrote this before it had the last response; its answer to that one is on its way.
    if (answerTo === "stale") return;
    this.#want(request.resourceNames);
    this.#replies.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#replies.close();
    this.#wanted.close();
    this.#options.deps.metrics.openStreams.StreamSecrets--;
  }

  #want(names: readonly string[]): void {
    // Empty means everything only until a name has been said (xDS: legacy wildcard), then it means nothing.
    if (names.length > 0) this.#unnamed = false;
    const all = this.#unnamed || names.includes(wildcard);
    const named = new Set([...(all ? this.#options.everything : []), ...names]);
    named.delete(wildcard);
    for (const name of this.#wanted.names) if (!named.has(name)) this.#wanted.drop(name);
    // A name that was given up and is wanted again must be sent again; one that stayed must not.
    const unknown = [...named].filter((name) => !this.#wanted.has(name) && !this.#wanted.want(name));
    this.#unknown.tell(unknown);
    this.#wanted.hold();
  }

  #compose(nonce: string): Uint8Array | undefined {
    const due = this.#wanted.takeDue(this.#validator);
    return due.length === 0 ? undefined : writeResponse(nonce, due);
  }
}
