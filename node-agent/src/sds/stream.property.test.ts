import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import { SpiffeId } from "@signet/shared/spiffe-id";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { DiscoveryRequestSchema, DiscoveryResponseSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { Metrics } from "../metrics.ts";
import { classifier, type ResourceKind } from "./names.ts";
import { EncodedSecret } from "./secret.ts";
import { SdsStream } from "./stream.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const names = { svid: "default", bundle: "ROOTCA", allBundles: "ALL" };
const classify = classifier(names, SpiffeId.parse("spiffe://cluster.local/ns/foo/sa/sleep"));

/** A stream with its two secrets, and a client that keeps what a real one would. */
class Bench {
  readonly metrics = new Metrics();
  readonly versions: Record<ResourceKind, number> = { svid: 0, bundle: 0 };
  readonly listeners = new Map<ResourceKind, () => void>();
  /** Name to version, as last received. */
  readonly client = new Map<string, string>();
  wanted: readonly string[] = [];
  nonce = "";
  done: (() => void) | undefined;
  received = 0;
  readonly stream = new SdsStream({
    classify,
    validator: "trusted-ca",
    everything: [names.svid, names.bundle],
    open: (kind, onChange) => {
      expect(this.listeners.has(kind)).toBe(false);
      this.listeners.set(kind, onChange);
      return { current: () => this.secret(kind), close: () => this.listeners.delete(kind) };
    },
    send: (message, done) => {
      expect(this.done).toBeUndefined();
      this.done = done;
      this.take(message);
    },
    deps: { log: quiet, metrics: this.metrics },
    who: {},
  });

  secret(kind: ResourceKind): EncodedSecret | undefined {
    const version = this.versions[kind];
    if (version === 0) return undefined;
    return kind === "svid"
      ? EncodedSecret.ofCertificate(`serial-${version}`, "chain", "key")
      : EncodedSecret.ofBundle(version, [{ trustDomain: "cluster.local", rootsPem: "roots" }]);
  }

  take(message: Uint8Array): void {
    const response = fromBinary(DiscoveryResponseSchema, message);
    this.received++;
    this.nonce = response.nonce;
    expect(response.resources.length).toBeGreaterThan(0);
    const seen = response.resources.map(({ value }) => fromBinary(SecretSchema, value).name);
    expect(new Set(seen).size).toBe(seen.length);
    for (const name of seen) {
      const kind = classify(name);
      if (kind === undefined) throw new Error(`sent ${name}`);
      const version = `${kind}-${this.versions[kind]}`;
      // Never the same content again for a name that stayed wanted.
      expect(this.client.get(name)).not.toBe(version);
      this.client.set(name, version);
    }
  }

  request(resourceNames: readonly string[], fields: { nonce: string; refuse: boolean }): void {
    const stale = this.nonce !== "" && fields.nonce !== this.nonce && fields.nonce !== "";
    if (!stale) {
      this.wanted = resourceNames;
      for (const name of [...this.client.keys()]) if (!resourceNames.includes(name)) this.client.delete(name);
    }
    this.stream.receive(
      toBinary(
        DiscoveryRequestSchema,
        create(DiscoveryRequestSchema, {
          resourceNames: [...resourceNames],
          responseNonce: fields.nonce,
          ...(fields.refuse ? { errorDetail: { code: 13, message: "no" } } : {}),
        }),
      ),
    );
  }

  finishSending(): void {
    for (; this.done !== undefined; ) {
      const { done } = this;
      this.done = undefined;
      done();
    }
  }
}

type Step =
  | {
      readonly do: "ask";
      readonly names: readonly string[];
      readonly nonce: "current" | "none" | "stale";
      readonly refuse: boolean;
    }
  | { readonly do: "change"; readonly kind: ResourceKind }
  | { readonly do: "read" };

const anyName = fc.constantFrom("default", "ROOTCA", "ALL", "spiffe://cluster.local/ns/foo/sa/sleep", "nonsense");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("ask" as const),
    // Never empty: what that means depends on the stream's past and has tests of its own.
    names: fc.array(anyName, { minLength: 1, maxLength: 5 }),
    nonce: fc.constantFrom("current" as const, "none" as const, "stale" as const),
    refuse: fc.boolean(),
  }),
  fc.record({ do: fc.constant("change" as const), kind: fc.constantFrom("svid" as const, "bundle" as const) }),
  fc.record({ do: fc.constant("read" as const) }),
);

test("whatever happens, a client that reads ends up with the newest of all that it wants, and nothing twice", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const bench = new Bench();
      for (const one of steps) {
        if (one.do === "read") bench.finishSending();
        else if (one.do === "change") {
          bench.versions[one.kind]++;
          bench.listeners.get(one.kind)?.();
        } else {
          const nonce = { current: bench.nonce, none: "", stale: "stale" }[one.nonce];
          if (nonce !== "stale" || bench.nonce !== "") bench.request(one.names, { nonce, refuse: one.refuse });
        }
      }
      bench.finishSending();
      for (const name of bench.wanted) {
        const kind = classify(name);
        if (kind !== undefined && bench.versions[kind] > 0) {
          expect(bench.client.get(name)).toBe(`${kind}-${bench.versions[kind]}`);
        } else expect(bench.client.has(name)).toBe(false);
      }
      bench.stream.close();
      expect(bench.listeners.size).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("any bytes are handled or refused with a code", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 5 }), (messages) => {
      const { stream } = new Bench();
      for (const message of messages) {
        try {
          stream.receive(message);
        } catch (error) {
          if (!(error instanceof SignetError)) throw error;
          expect(error.code).toBe("malformed-request");
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("metadata that is nested without end is refused, not followed", () => {
  // google.protobuf.Value{ list_value { values { list_value ... } } }, as deep as a request may be long.
  let value: Uint8Array = Uint8Array.of();
  const length = (n: number) =>
    n < 128 ? [n] : n < 16_384 ? [(n & 127) | 128, n >> 7] : [(n & 127) | 128, ((n >> 7) & 127) | 128, n >> 14];
  for (let depth = 0; depth < 20_000; depth++) {
    const list = Buffer.concat([Uint8Array.of(0x0a), Uint8Array.from(length(value.length)), value]);
    value = Buffer.concat([Uint8Array.of(0x32), Uint8Array.from(length(list.length)), list]);
    if (value.length > 200_000) break;
  }
  const wrap = (tag: number, inner: Uint8Array) =>
    Buffer.concat([Uint8Array.of(tag), Uint8Array.from(length(inner.length)), inner]);
  const message = wrap(0x12, wrap(0x1a, wrap(0x0a, Buffer.concat([Uint8Array.of(0x0a, 1, 0x61), wrap(0x12, value)]))));
  expect(() => new Bench().stream.receive(message)).toThrow(SignetError);
});
