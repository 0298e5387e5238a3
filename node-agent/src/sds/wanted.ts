import type { OutgoingSecret } from "./message.ts";
import type { ResourceKind } from "./names.ts";
import type { SdsOptions, SecretHold } from "./stream-options.ts";
import type { Validator } from "./validator.ts";

interface Wanted {
  readonly kind: ResourceKind;
  /** What the client was last sent or says it has; undefined for nothing. */
  version: string | undefined;
}

/**
 * The names that one client wants, what it has of each, and a hold on each secret that they stand for. Names that stand
 * for nothing are not kept: what a name means to a caller is fixed, so such a name can never come to be.
 */
export class WantedSecrets {
  readonly #options: Pick<SdsOptions, "classify" | "open">;
  readonly #onChange: () => void;
  readonly #wanted = new Map<string, Wanted>();
  readonly #holds = new Map<ResourceKind, SecretHold>();

  constructor(options: Pick<SdsOptions, "classify" | "open">, onChange: () => void) {
    this.#options = options;
    this.#onChange = onChange;
  }

  get names(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  has(name: string): boolean {
    return this.#wanted.has(name);
  }

  /**
   * Wants `name` from now on; where it was wanted already, forgets what the client has of it.
   * @param version what the client has
   * @returns whether the name stands for anything
   */
  want(name: string, version?: string): boolean {
    const kind = this.#options.classify(name);
    if (kind === undefined) return false;
    this.#wanted.set(name, { kind, version });
    return true;
  }

  drop(name: string): void {
    this.#wanted.delete(name);
  }

  /** Takes hold of what is wanted now, and lets go of the rest. May throw SignetError, which ends the stream. */
  hold(): void {
    const kinds = new Set([...this.#wanted.values()].map(({ kind }) => kind));
    for (const [kind, hold] of this.#holds) {
      if (kinds.has(kind)) continue;
      hold.close();
      this.#holds.delete(kind);
    }
    for (const kind of kinds) {
      if (!this.#holds.has(kind)) this.#holds.set(kind, this.#options.open(kind, this.#onChange));
    }
  }

  /** Whether every secret that is wanted is there. */
  get isComplete(): boolean {
    return [...this.#wanted.values()].every(({ kind }) => this.#holds.get(kind)?.current() !== undefined);
  }

  /** What the client does not have in its newest form, each once; it counts as sent from here on. */
  takeDue(validator: Validator): OutgoingSecret[] {
    const due: OutgoingSecret[] = [];
    for (const [name, wanted] of this.#wanted) {
      const form = this.#holds.get(wanted.kind)?.current()?.in(validator);
      if (form === undefined || form.version === wanted.version) continue;
      wanted.version = form.version;
      due.push({ name, version: form.version, bytes: form.encode(name) });
    }
    return due;
  }

  close(): void {
    for (const hold of this.#holds.values()) hold.close();
    this.#holds.clear();
    this.#wanted.clear();
  }
}
