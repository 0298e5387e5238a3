import { fromBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import type { DataSource } from "@signet/node-agent/gen/envoy/config/core/v3/base_pb";
import { DeltaStreamClient } from "./delta-client.ts";
import { createRequest, DiscoveryResponseSchema, SecretSchema, secretTypeUrl } from "./messages.ts";

/** A secret as a client sees it. */
interface SeenSecret {
  readonly name: string;
  readonly kind: "tlsCertificate" | "validationContext";
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
}

export interface SeenResponse {
  readonly version: string;
  readonly nonce: string;
  readonly secrets: readonly SeenSecret[];
}

export interface RequestParts {
  readonly names: readonly string[];
  readonly nonce?: string;
  readonly version?: string;
  readonly typeUrl?: string;
  readonly nack?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

const bytes = (message: Buffer): Buffer => message;
const path = (method: string) => `/envoy.service.secret.v3.SecretDiscoveryService/${method}`;

export interface FetchResult {
  readonly code: StatusObject["code"];
  readonly details: string;
  readonly response: SeenResponse | undefined;
}

/** One process' connection to the agent, as an Envoy has it. */
export class SdsClient {
  readonly #client: Client;

  constructor(socket: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      // Without this, clients of one process share a connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
  }

  /** Opens a stream with these headers; values of `-bin` headers as Buffer. */
  stream(headers: Readonly<Record<string, string | Buffer | readonly Buffer[]>>): SdsStreamClient {
    return new SdsStreamClient(this.#open("StreamSecrets", headers));
  }

  /** The same for DeltaSecrets. */
  delta(token: string): DeltaStreamClient {
    return new DeltaStreamClient(this.#open("DeltaSecrets", { authorization: `Bearer ${token}` }));
  }

  #open(method: string, headers: Readonly<Record<string, string | Buffer | readonly Buffer[]>>) {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) {
      if (typeof value === "string" || Buffer.isBuffer(value)) metadata.add(name, value);
      else for (const one of value) metadata.add(name, one);
    }
    return this.#client.makeBidiStreamRequest(path(method), bytes, bytes, metadata);
  }

  withToken(token: string): SdsStreamClient {
    return this.stream({ authorization: `Bearer ${token}` });
  }

  /** Calls FetchSecrets; the call is given up at `deadline`, where there is one. */
  fetch(names: readonly string[], token: string, deadline?: Date): Promise<FetchResult> {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    const message = createRequest({ names, nonce: "", version: "", typeUrl: secretTypeUrl, nack: undefined });
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path("FetchSecrets"),
        bytes,
        bytes,
        Buffer.from(message),
        metadata,
        deadline === undefined ? {} : { deadline },
        (error, response) =>
          resolve({
            code: error?.code ?? status.OK,
            details: error?.details ?? "",
            response: response === undefined ? undefined : readResponse(response),
          }),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

export class SdsStreamClient {
  readonly received: SeenResponse[] = [];
  ended: StatusObject | undefined;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  #taken = 0;
  #wake: () => void = () => undefined;

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on("data", (message: Buffer) => {
      this.received.push(readResponse(message));
      this.#wake();
    });
    call.on("status", (ended: StatusObject) => {
      this.ended = ended;
      this.#wake();
    });
    call.on("error", () => undefined);
  }

  request({ names, nonce = "", version = "", typeUrl = secretTypeUrl, nack, metadata = {} }: RequestParts): this {
    this.#call.write(Buffer.from(createRequest({ names, nonce, version, typeUrl, nack, metadata })));
    return this;
  }

  send(raw: Uint8Array): this {
    this.#call.write(Buffer.from(raw));
    return this;
  }

  /** The next response that was not taken yet. */
  async next(): Promise<SeenResponse> {
    while (this.received.length <= this.#taken) {
      if (this.ended !== undefined) throw new Error(`stream ended: ${this.ended.code} ${this.ended.details}`);
      await this.#change();
    }
    return this.received[this.#taken++] as SeenResponse;
  }

  /** The next response, accepted with this list of names. */
  async nextAcked(names: readonly string[]): Promise<SeenResponse> {
    const response = await this.next();
    this.request({ names, nonce: response.nonce, version: response.version });
    return response;
  }

  async end(): Promise<StatusObject> {
    while (this.ended === undefined) await this.#change();
    return this.ended;
  }

  get untaken(): number {
    return this.received.length - this.#taken;
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  cancel(): void {
    this.#call.cancel();
  }

  halfClose(): void {
    this.#call.end();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function readResponse(message: Buffer): SeenResponse {
  const { nonce, resources, versionInfo } = fromBinary(DiscoveryResponseSchema, message);
  const secrets = resources.map(({ typeUrl, value }): SeenSecret => {
    if (typeUrl !== secretTypeUrl) throw new Error(`a resource of type ${typeUrl}`);
    const { name, type } = fromBinary(SecretSchema, value);
    const text = (source: DataSource | undefined) =>
      source?.specifier.case === "inlineBytes" ? Buffer.from(source.specifier.value).toString("utf8") : "";
    if (type.case === "tlsCertificate") {
      const { certificateChain, privateKey } = type.value;
      return { name, kind: type.case, chain: text(certificateChain), key: text(privateKey), roots: "" };
    }
    if (type.case === "validationContext") {
      return { name, kind: type.case, chain: "", key: "", roots: text(type.value.trustedCa) };
    }
    throw new Error(`secret ${name} is empty`);
  });
  return { version: versionInfo, nonce, secrets };
}
