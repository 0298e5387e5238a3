import { create, fromBinary, fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import type { LogFields } from "@signet/shared/deps";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { NodeSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import { Metrics } from "../metrics.ts";
import { DeltaStream } from "./delta.ts";
import { classifier, type ResourceKind } from "./names.ts";
import { EncodedSecret } from "./secret.ts";
import { SdsStream } from "./stream.ts";
import type { SdsOptions } from "./stream-options.ts";

export const ownId = "spiffe://cluster.local/ns/foo/sa/sleep";
export const ownDomain = "spiffe://cluster.local";
const names = { svid: "default", bundle: "ROOTCA", allBundles: "ALL" };
export const everything = [names.svid, names.bundle];
export const classify = classifier(names, SpiffeId.parse(ownId));

/** For tests: a caller's two secrets, which come, change and go when told, and what was logged and counted. */
export class TestSecrets {
  readonly metrics = new Metrics();
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];
  readonly #numbers: Record<ResourceKind, number> = { svid: 0, bundle: 0 };
  readonly #gone = new Set<ResourceKind>(["svid", "bundle"]);
  readonly #listeners = new Map<() => void, ResourceKind>();

  get holds(): readonly ResourceKind[] {
    return [...this.#listeners.values()];
  }

  /** A new content, told to all who hold it. */
  change(kind: ResourceKind): void {
    this.#numbers[kind]++;
    this.#gone.delete(kind);
    this.#tell(kind);
  }

  /** As a certificate that has run out: there is none, and nobody is told. */
  vanish(kind: ResourceKind): void {
    this.#gone.add(kind);
  }

  current(kind: ResourceKind): EncodedSecret | undefined {
    if (this.#gone.has(kind)) return undefined;
    const number = this.#numbers[kind];
    if (kind === "svid")
      return EncodedSecret.ofCertificate(`serial-${number}`, "chain", new TextEncoder().encode("key"));
    return EncodedSecret.ofBundle([{ trustDomain: "cluster.local", rootsPem: `roots ${number}` }]);
  }

  version(kind: ResourceKind): string | undefined {
    return this.current(kind)?.in("trusted-ca").version;
  }

  options(more: Partial<SdsOptions> = {}): SdsOptions {
    const at = (level: string) => (fields: LogFields, message: string) => {
      this.lines.push({ level, fields, message });
    };
    return {
      classify,
      everything,
      validator: "trusted-ca",
      open: (kind, onChange) => {
        const listener = () => onChange();
        this.#listeners.set(listener, kind);
        return { current: () => this.current(kind), close: () => this.#listeners.delete(listener) };
      },
      deps: {
        log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
        metrics: this.metrics,
      },
      who: { pod: "foo/sleep" },
      ...more,
    };
  }

  #tell(kind: ResourceKind): void {
    for (const [listener, held] of [...this.#listeners]) if (held === kind) listener();
  }
}

/** What a stream sends, kept until it is looked at; the client reads on only when told. */
export class TestReader {
  readonly messages: Uint8Array[] = [];
  #done: (() => void)[] = [];
  /** Whether each message counts as read at once. */
  reads = true;

  readonly send = (message: Uint8Array, done: () => void): void => {
    if (this.#done.length > 0) throw new Error("a message was sent before the one before was taken");
    this.messages.push(message);
    if (this.reads) done();
    else this.#done.push(done);
  };

  /** Takes what was sent, and what comes of that. */
  drain(): void {
    for (let done = this.#done.pop(); done !== undefined; done = this.#done.pop()) done();
  }

  take(): Uint8Array {
    const message = this.messages.shift();
    if (message === undefined) throw new Error("nothing was sent");
    return message;
  }
}

export const request = (fields: Partial<DiscoveryRequest>) =>
  toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, fields as object));

export const deltaRequest = (fields: Partial<DeltaDiscoveryRequest>) =>
  toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, fields as object));

export function readResponse(message: Uint8Array) {
  const { nonce, resources, versionInfo } = fromBinary(DiscoveryResponseSchema, message);
  return { nonce, version: versionInfo, names: resources.map(({ value }) => fromBinary(SecretSchema, value).name) };
}

export function readDeltaResponse(message: Uint8Array) {
  const { nonce, resources, removedResources } = fromBinary(DeltaDiscoveryResponseSchema, message);
  const versions = resources.map(({ name, resource, version }): [string, string] => {
    if (fromBinary(SecretSchema, resource?.value ?? Uint8Array.of()).name !== name) throw new Error(`not ${name}`);
    return [name, version];
  });
  return { nonce, names: versions.map(([name]) => name), versions: new Map(versions), removed: removedResources };
}

/** A client of one StreamSecrets stream that reads at once. */
export class StreamClient {
  readonly reader = new TestReader();
  readonly stream: SdsStream;

  constructor(secrets: TestSecrets, more: Partial<SdsOptions> = {}) {
    this.stream = new SdsStream({ ...secrets.options(more), send: this.reader.send });
  }

  ask(names: readonly string[], fields: Partial<DiscoveryRequest> = {}): this {
    this.stream.receive(request({ resourceNames: [...names], ...fields }));
    return this;
  }

  next() {
    return readResponse(this.reader.take());
  }

  get untaken(): number {
    return this.reader.messages.length;
  }
}

/** A client of one DeltaSecrets stream that reads at once. */
export class DeltaClient {
  readonly reader = new TestReader();
  readonly stream: DeltaStream;

  constructor(secrets: TestSecrets, more: Partial<SdsOptions> = {}) {
    this.stream = new DeltaStream({ ...secrets.options(more), send: this.reader.send });
  }

  ask(fields: Partial<DeltaDiscoveryRequest>): this {
    this.stream.receive(deltaRequest(fields));
    return this;
  }

  subscribe(...names: string[]): this {
    return this.ask({ resourceNamesSubscribe: names });
  }

  unsubscribe(...names: string[]): this {
    return this.ask({ resourceNamesUnsubscribe: names });
  }

  next() {
    return readDeltaResponse(this.reader.take());
  }

  get untaken(): number {
    return this.reader.messages.length;
  }
}

export const refusal = (message = "no") => create(StatusSchema, { code: 13, message });

/** Any metadata, written by the generated code. */
export const metadataOf = (metadata: JsonObject) => toBinary(StructSchema, fromJson(StructSchema, metadata));

export const nodeWith = (metadata: JsonObject) => create(NodeSchema, { metadata: metadataOf(metadata) });
