import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import { SecretSchema } from "@signet/node-agent/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "@signet/node-agent/gen/envoy/service/discovery/v3/discovery_pb";
import { secretTypeUrl } from "@signet/node-agent/sds/secret";

interface SeenDelta {
  readonly nonce: string;
  /** Name to version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
}

interface DeltaParts {
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly versions?: Readonly<Record<string, string>>;
  readonly nonce?: string;
  readonly nack?: string;
}

/** A client of one DeltaSecrets stream. */
export class DeltaStreamClient {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #received: SeenDelta[] = [];
  #ended: StatusObject | undefined;
  #wake: () => void = () => undefined;

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on("data", (message: Buffer) => {
      this.#received.push(readResponse(message));
      this.#wake();
    });
    call.on("status", (ended: StatusObject) => {
      this.#ended = ended;
      this.#wake();
    });
    call.on("error", () => undefined);
  }

  request({ subscribe = [], unsubscribe = [], versions = {}, nonce = "", nack }: DeltaParts): this {
    const message = create(DeltaDiscoveryRequestSchema, {
      node: { id: "sidecar~10.0.0.1~sleep", cluster: "sleep" },
      typeUrl: secretTypeUrl,
      resourceNamesSubscribe: [...subscribe],
      resourceNamesUnsubscribe: [...unsubscribe],
      initialResourceVersions: versions,
      responseNonce: nonce,
      ...(nack === undefined ? {} : { errorDetail: { code: 13, message: nack } }),
    });
    this.#call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
    return this;
  }

  /** The next response that was not taken yet. */
  async next(): Promise<SeenDelta> {
    for (;;) {
      const response = this.#received.shift();
      if (response !== undefined) return response;
      if (this.#ended !== undefined) throw new Error(`stream ended: ${this.#ended.code} ${this.#ended.details}`);
      await this.#change();
    }
  }

  async end(): Promise<StatusObject> {
    while (this.#ended === undefined) await this.#change();
    return this.#ended;
  }

  get untaken(): number {
    return this.#received.length;
  }

  cancel(): void {
    this.#call.cancel();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function readResponse(message: Buffer): SeenDelta {
  const { nonce, resources, removedResources } = fromBinary(DeltaDiscoveryResponseSchema, message);
  const versions = resources.map(({ name, version, resource }) => {
    if (fromBinary(SecretSchema, resource?.value ?? Buffer.alloc(0)).name !== name) throw new Error(`not ${name}`);
    return [name, version];
  });
  return { nonce, versions: Object.fromEntries(versions), removed: removedResources };
}
