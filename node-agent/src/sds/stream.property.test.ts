import fc from "fast-check";
import { expect, test } from "vitest";
import type { ResourceKind } from "./names.ts";
import { SdsStream } from "./stream.ts";
import {
  classify,
  everything,
  ownDomain,
  ownId,
  readResponse,
  refusal,
  request,
  TestReader,
  TestSecrets,
} from "./test-secrets.ts";

/** A client as the protocol has it: what it wants, and what it has. */
class Model {
  readonly secrets = new TestSecrets();
  readonly reader = new TestReader();
  readonly stream = new SdsStream({ ...this.secrets.options(), send: this.reader.send });
  wanted: readonly string[] = [];
  /** Name to version, as last received. */
  readonly has = new Map<string, string>();
  nonces: readonly string[] = [];
  #unnamed = true;

  constructor() {
    this.reader.reads = false;
  }

  change(kind: ResourceKind): void {
    this.secrets.change(kind);
    this.#look();
  }

  read(): void {
    this.reader.drain();
    this.#look();
  }

  request(names: readonly string[], nonce: Ask["nonce"], refuse: boolean): void {
    const newest = this.nonces.at(-1) ?? "";
    const responseNonce = { newest, none: "", stale: this.nonces.at(-2) ?? "0" }[nonce];
    if (nonce !== "stale" || newest === "") this.#wants(names);
    this.stream.receive(
      request({ resourceNames: [...names], responseNonce, ...(refuse ? { errorDetail: refusal() } : {}) }),
    );
    this.#look();
  }

  #wants(names: readonly string[]): void {
    if (names.length > 0) this.#unnamed = false;
    const all = this.#unnamed || names.includes("*") ? everything : [];
    this.wanted = [...all, ...names].filter((name) => classify(name) !== undefined);
    for (const name of [...this.has.keys()]) if (!this.wanted.includes(name)) this.has.delete(name);
  }

  #look(): void {
    for (; this.reader.messages.length > 0; ) {
      const { nonce, names } = readResponse(this.reader.take());
      this.nonces = [...this.nonces, nonce];
      expect(names.length).toBeGreaterThan(0);
      expect(new Set(names).size).toBe(names.length);
      for (const name of names) {
        expect(this.wanted).toContain(name);
        const kind = classify(name) ?? expect.fail(`sent ${name}`);
        const version = this.secrets.version(kind) ?? expect.fail(`sent ${name}, of which there is none`);
        // Never the same content again for a name that stayed wanted.
        expect(this.has.get(name)).not.toBe(version);
        this.has.set(name, version);
      }
    }
  }
}

interface Ask {
  readonly do: "ask";
  readonly names: readonly string[];
  readonly nonce: "newest" | "none" | "stale";
  readonly refuse: boolean;
}
type Step = Ask | { readonly do: "change" | "vanish"; readonly kind: ResourceKind } | { readonly do: "read" };

const kind = fc.constantFrom("svid" as const, "bundle" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      names: fc.array(fc.constantFrom("default", "ROOTCA", "ALL", ownId, ownDomain, "*", "nonsense"), { maxLength: 5 }),
      nonce: fc.constantFrom("newest" as const, "none" as const, "stale" as const),
      refuse: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("change" as const), kind }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("vanish" as const), kind }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const) }) },
);

test("whatever happens, a client that reads ends up with the newest of all that it wants, and nothing twice", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const model = new Model();
      for (const one of steps) {
        if (one.do === "ask") model.request(one.names, one.nonce, one.refuse);
        else if (one.do === "change") model.change(one.kind);
        else if (one.do === "vanish") model.secrets.vanish(one.kind);
        else model.read();
      }
      model.read();
      for (const name of model.wanted) {
        const version = model.secrets.version(classify(name) ?? expect.fail());
        if (version !== undefined) expect([name, model.has.get(name)]).toEqual([name, version]);
      }
      expect(new Set(model.nonces).size).toBe(model.nonces.length);
      const { acks, nacks, pushes } = model.secrets.metrics;
      expect(pushes).toBe(model.nonces.length);
      expect(acks + nacks).toBeLessThanOrEqual(pushes);
      model.stream.close();
      expect(model.secrets.holds).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});
