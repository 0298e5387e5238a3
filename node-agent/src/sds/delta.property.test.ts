import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaStream } from "./delta.ts";
import type { ResourceKind } from "./names.ts";
import {
  classify,
  deltaRequest,
  everything,
  ownDomain,
  ownId,
  readDeltaResponse,
  TestReader,
  TestSecrets,
} from "./test-secrets.ts";

/** A client as the protocol has it: what it subscribes to, what it has, and what it may expect. */
class Model {
  readonly secrets = new TestSecrets();
  readonly reader = new TestReader();
  /** Names that were said and not taken back. */
  readonly named = new Set<string>();
  wildcard = false;
  /** Name to version, as last received. */
  readonly has = new Map<string, string>();
  /** Names that must be sent though the client may have them: it asked, and nothing has come since. */
  readonly owed = new Set<string>();
  /** Names that must be reported as removed. */
  readonly missing = new Set<string>();
  nonce = "";
  pushes = 0;
  #stream: DeltaStream | undefined;

  isWanted(name: string): boolean {
    return classify(name) !== undefined && (this.named.has(name) || (this.wildcard && everything.includes(name)));
  }

  read(): void {
    this.reader.drain();
    this.#look();
  }

  change(kind: ResourceKind): void {
    this.secrets.change(kind);
    this.#look();
  }

  request(step: Ask): void {
    const fresh = this.#stream === undefined;
    this.#stream ??= new DeltaStream({ ...this.secrets.options(), send: this.reader.send });
    const { subscribe, unsubscribe } = step;
    const nothing = subscribe.length + unsubscribe.length === 0;
    // Only the first message of a stream may say this; in any other it must not count.
    const versions = Object.fromEntries(this.has);
    this.#subscribed(fresh && nothing ? ["*"] : subscribe, fresh);
    this.#unsubscribed(unsubscribe);
    this.#stream.receive(
      deltaRequest({
        resourceNamesSubscribe: [...subscribe],
        resourceNamesUnsubscribe: [...unsubscribe],
        initialResourceVersions: versions,
        responseNonce: { newest: this.nonce, none: "", stale: "0" }[step.nonce],
        ...(step.refuse ? { errorDetail: { code: 13, message: "no" } as never } : {}),
      }),
    );
    this.#look();
  }

  reconnect(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.reader.drain();
    this.reader.messages.length = 0;
    this.nonce = "";
    this.named.clear();
    this.wildcard = false;
    this.owed.clear();
    this.missing.clear();
    expect(this.secrets.holds).toEqual([]);
    expect(this.secrets.metrics.openStreams.DeltaSecrets).toBe(0);
  }

  #subscribed(names: readonly string[], fresh: boolean): void {
    const said = new Set(names);
    if (said.delete("*")) {
      this.wildcard = true;
      for (const name of everything) if (!(fresh && this.has.has(name))) this.owed.add(name);
    }
    for (const name of said) {
      if (classify(name) === undefined) this.missing.add(name);
      else {
        this.named.add(name);
        if (!(fresh && this.has.has(name))) this.owed.add(name);
      }
    }
  }

  #unsubscribed(names: readonly string[]): void {
    const said = new Set(names);
    if (said.delete("*")) this.wildcard = false;
    for (const name of said) {
      if (!this.named.delete(name) || !this.wildcard) continue;
      if (everything.includes(name)) this.owed.add(name);
      else this.missing.add(name);
    }
    // The client forgets what it does not subscribe to any more.
    for (const name of [...this.has.keys(), ...this.owed]) {
      if (this.isWanted(name)) continue;
      this.has.delete(name);
      this.owed.delete(name);
    }
  }

  #look(): void {
    for (; this.reader.messages.length > 0; ) {
      const { nonce, versions, removed } = readDeltaResponse(this.reader.take());
      this.pushes++;
      this.nonce = nonce;
      expect(versions.size + removed.length).toBeGreaterThan(0);
      for (const [name, version] of versions) {
        expect(this.isWanted(name), `${name} is wanted`).toBe(true);
        expect(this.owed.has(name) || this.has.get(name) !== version, `${name} has news`).toBe(true);
        this.has.set(name, version);
        this.owed.delete(name);
      }
      expect(new Set(removed).size).toBe(removed.length);
      for (const name of removed) {
        expect(this.isWanted(name), `${name} is kept`).toBe(false);
        this.missing.delete(name);
      }
    }
  }
}

interface Ask {
  readonly do: "ask";
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly nonce: "newest" | "none" | "stale";
  readonly refuse: boolean;
}
type Step =
  | Ask
  | { readonly do: "change" | "vanish"; readonly kind: ResourceKind }
  | { readonly do: "read" | "reconnect" };

const anyName = fc.constantFrom("default", "ROOTCA", "ALL", ownId, ownDomain, "*", "nonsense", "__proto__");
const someNames = fc.array(anyName, { maxLength: 4 });
const kind = fc.constantFrom("svid" as const, "bundle" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      subscribe: someNames,
      unsubscribe: someNames,
      nonce: fc.constantFrom("newest" as const, "none" as const, "stale" as const),
      refuse: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("change" as const), kind }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("vanish" as const), kind }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("read" as const, "reconnect" as const) }) },
);

test("whatever happens, a client that reads has the newest of all that it wants, and nothing for nothing", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const model = new Model();
      model.reader.reads = false;
      for (const one of steps) {
        if (one.do === "ask") model.request(one);
        else if (one.do === "change") model.change(one.kind);
        else if (one.do === "vanish") model.secrets.vanish(one.kind);
        else if (one.do === "reconnect") model.reconnect();
        else if (one.do === "read") model.read();
      }
      model.read();
      for (const name of [...model.named, ...(model.wildcard ? everything : [])]) {
        const wanted = classify(name);
        const version = wanted === undefined ? undefined : model.secrets.version(wanted);
        if (version === undefined) continue;
        expect([name, model.has.get(name)]).toEqual([name, version]);
        expect(model.owed.has(name), `${name} was sent again`).toBe(false);
      }
      expect([...model.missing].filter((name) => !model.isWanted(name))).toEqual([]);
      expect(model.secrets.metrics.pushes).toBeGreaterThanOrEqual(model.pushes);
      model.reconnect();
    }),
    { numRuns: 1_000 },
  );
});
