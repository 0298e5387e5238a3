import { readRequest, writeResponse } from "./message.ts";
import type { ResourceKind } from "./names.ts";
import type { SdsStreamOptions, SecretHold } from "./stream-options.ts";

const longestShown = 256;

/**
 * One StreamSecrets stream, state of the world (xDS protocol, `reference/envoy-edge.md` A1). It sends what the client
 * wants and has not been sent in this content yet: on the first request, on a name that is new, and on a change; never
 * the same again, whatever the client acknowledges or refuses.
 */
export class SdsStream {
  readonly #options: SdsStreamOptions;
  readonly #holds = new Map<ResourceKind, SecretHold>();
  /** Wanted names with the version last sent; undefined before the first. */
  #wanted = new Map<string, { readonly kind: ResourceKind; sent: string | undefined }>();
  readonly #unknown = new Set<string>();
  #asked = false;
  #wildcard = false;
  #nonce = 0;
  #sending = false;
  #closed = false;

  constructor(options: SdsStreamOptions) {
    this.#options = options;
  }

  /**
   * Takes a message of the client.
   * @throws SignetError `malformed-request`, and whatever opening a secret throws
   */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    const request = readRequest(bytes);
    const first = !this.#asked;
    this.#asked = true;
    // A nonce of a response before the last: the client's answer to the last is on its way. Before the first response
    // there is none to be behind; a reconnecting client then still carries one of its former stream.
    const current = String(this.#nonce);
    if (!first && request.responseNonce !== "" && request.responseNonce !== current) return;
    if (!first && request.responseNonce === current && this.#nonce > 0) this.#answered(request.errorDetail);
    this.#want(request.resourceNames, first);
    this.#flush();
  }

  close(): void {
    this.#closed = true;
    for (const hold of this.#holds.values()) hold.close();
    this.#holds.clear();
    this.#wanted.clear();
  }

  // A refusal is told by its detail alone: versions say nothing sure. It changes nothing here, because what was refused
  // once will be refused again; the client keeps what it has until the content changes.
  #answered(refusal: { readonly code: number; readonly message: string } | undefined): void {
    const { deps, who } = this.#options;
    if (refusal === undefined) {
      deps.metrics.acks++;
      return;
    }
    deps.metrics.nacks++;
    deps.log.warn(
      { ...who, names: [...this.#wanted.keys()].slice(0, 10), status: refusal.code, reason: shown(refusal.message) },
      "Envoy refuses a secret",
    );
  }

  #want(names: readonly string[], first: boolean): void {
    // Empty means everything only until a name has been said (xDS: legacy wildcard), then it means nothing.
    if (first) this.#wildcard = names.length === 0;
    else if (names.length > 0) this.#wildcard = false;
    const before = this.#wanted;
    this.#wanted = new Map();
    for (const name of this.#wildcard ? this.#options.everything : names) {
      const kind = this.#options.classify(name);
      if (kind === undefined) this.#unknownName(name);
      // A name that was given up and is wanted again must be sent again.
      else this.#wanted.set(name, before.get(name) ?? { kind, sent: undefined });
    }
    this.#holdWhatIsWanted();
  }

  #holdWhatIsWanted(): void {
    const kinds = new Set([...this.#wanted.values()].map(({ kind }) => kind));
    for (const [kind, hold] of this.#holds) {
      if (kinds.has(kind)) continue;
      hold.close();
      this.#holds.delete(kind);
    }
    for (const kind of kinds) {
      if (!this.#holds.has(kind))
        this.#holds.set(
          kind,
          this.#options.open(kind, () => this.#flush()),
        );
    }
  }

  #unknownName(name: string): void {
    if (this.#unknown.has(name)) return;
    this.#unknown.add(name);
    const { deps, who } = this.#options;
    deps.metrics.unknownNames++;
    deps.log.warn({ ...who, name: shown(name) }, "Envoy asks for a name that is not known here");
  }

  // A client that does not read keeps `#sending` up; what changes meanwhile is sent once, in its newest form, after it.
  #flush(): void {
    if (this.#sending || this.#closed) return;
    const secrets: Uint8Array[] = [];
    const versions = new Set<string>();
    for (const [name, wanted] of this.#wanted) {
      const secret = this.#holds.get(wanted.kind)?.current();
      if (secret === undefined || secret.version === wanted.sent) continue;
      wanted.sent = secret.version;
      secrets.push(secret.encode(name));
      versions.add(secret.version);
    }
    if (secrets.length === 0) return;
    this.#nonce++;
    this.#sending = true;
    this.#options.deps.metrics.pushes++;
    this.#options.send(writeResponse({ version: [...versions].join("+"), nonce: String(this.#nonce), secrets }), () => {
      this.#sending = false;
      this.#flush();
    });
  }
}

// What a client writes is cut, and anything in it that looks like a key or a certificate is left out.
function shown(text: string): string {
  return text.replace(/-----BEGIN[\s\S]*/, "[PEM left out]").slice(0, longestShown);
}
