import { type DeltaDiscoveryRequest, readDeltaRequest, writeDeltaResponse } from "./message.ts";
import { wildcard } from "./names.ts";
import { Replies } from "./replies.ts";
import type { SdsStreamOptions } from "./stream-options.ts";
import { UnknownNames } from "./unknown-names.ts";
import { chooseFor, type Validator } from "./validator.ts";
import { WantedSecrets } from "./wanted.ts";

// Of a client that asks for what is not there and does not read the answers; beyond it, names stay unanswered.
const maxRemovedLength = 64 * 1_024;

type Versions = ReadonlyMap<string, string>;
const noVersions: Versions = new Map();

/**
 * One DeltaSecrets stream, incremental (xDS protocol, `reference/envoy-edge.md` A1). It sends what the client subscribes
 * to, unless the stream begins with the word that the client has it, and what changes. A name that stands for nothing is
 * answered with `removed_resources`; a secret that is not there yet, or not any more, is not: Envoy would stop waiting
 * for it.
 */
export class DeltaStream {
  readonly #options: SdsStreamOptions;
  readonly #wanted: WantedSecrets;
  readonly #replies: Replies;
  readonly #unknown: UnknownNames;
  /** Names that the client has said, of those that are wanted; the others are wanted by the wildcard. */
  readonly #named = new Set<string>();
  readonly #removed = new Set<string>();
  #removedLength = 0;
  #validator: Validator;
  #wildcard = false;
  #asked = false;
  #closed = false;

  constructor(options: SdsStreamOptions) {
    this.#options = options;
    this.#validator = options.validator;
    this.#wanted = new WantedSecrets(options, () => this.#replies.flush());
    this.#replies = new Replies(options, (nonce) => this.#compose(nonce));
    this.#unknown = new UnknownNames(options);
    options.deps.metrics.openStreams.DeltaSecrets++;
  }

  /**
   * Takes a message of the client.
   * @throws SignetError `malformed-request`, and whatever opening a secret throws
   */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    const request = readDeltaRequest(bytes);
    const first = !this.#asked;
    this.#asked = true;
    // Subscriptions count whatever the nonce is: each request says a difference, and none is said twice.
    this.#replies.answered(request, this.#wanted.names);
    if (first) this.#begin(request);
    else this.#subscribe(request.resourceNamesSubscribe, noVersions);
    this.#unsubscribe(request.resourceNamesUnsubscribe);
    this.#wanted.hold();
    this.#replies.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#replies.close();
    this.#wanted.close();
    this.#options.deps.metrics.openStreams.DeltaSecrets--;
  }

  // Only the first request is sure to say who the Envoy is, and only it says what the client has from a stream before.
  #begin(request: DeltaDiscoveryRequest): void {
    const { resourceNamesSubscribe: names, resourceNamesUnsubscribe, initialResourceVersions: has } = request;
    this.#validator = chooseFor(request.node, this.#options);
    // Naming nothing at all means everything (xDS: legacy wildcard).
    const isUnnamed = names.length + resourceNamesUnsubscribe.length === 0;
    this.#subscribe(isUnnamed ? [wildcard] : names, has);
    if (!this.#wildcard) return;
    for (const name of has.keys()) if (this.#options.classify(name) === undefined) this.#remove(name);
  }

  #subscribe(names: readonly string[], has: Versions): void {
    if (names.includes(wildcard)) {
      this.#wildcard = true;
      for (const name of this.#options.everything) this.#wanted.want(name, has.get(name));
    }
    const unknown: string[] = [];
    for (const name of new Set(names)) {
      if (name === wildcard) continue;
      // Asked for again means sent again: the client may have forgotten it.
      if (this.#wanted.want(name, has.get(name))) this.#named.add(name);
      else unknown.push(name);
    }
    for (const name of unknown) this.#remove(name);
    if (names.length > 0) this.#unknown.tell(unknown);
  }

  #unsubscribe(names: readonly string[]): void {
    if (names.includes(wildcard)) {
      this.#wildcard = false;
      for (const name of this.#options.everything) if (!this.#named.has(name)) this.#wanted.drop(name);
    }
    for (const name of names) {
      if (!this.#named.delete(name)) continue;
      // Whether the wildcard goes on to cover it, the client cannot know: it is told, one way or the other.
      if (this.#wildcard && this.#options.everything.includes(name)) this.#wanted.want(name);
      else {
        this.#wanted.drop(name);
        if (this.#wildcard) this.#remove(name);
      }
    }
  }

  #remove(name: string): void {
    if (this.#removed.has(name) || this.#removedLength + name.length > maxRemovedLength) return;
    this.#removed.add(name);
    this.#removedLength += name.length;
  }

  #compose(nonce: string): Uint8Array | undefined {
    const due = this.#wanted.takeDue(this.#validator);
    // One that is wanted again by now has not gone.
    const removed = [...this.#removed].filter((name) => !this.#wanted.has(name));
    this.#removed.clear();
    this.#removedLength = 0;
    return due.length + removed.length === 0 ? undefined : writeDeltaResponse(nonce, due, removed);
  }
}
