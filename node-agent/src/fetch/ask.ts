import { create, toBinary } from "@bufbuild/protobuf";
import { asSignetError } from "@signet/shared/errors";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { type CallEnd, Status } from "../grpc/status.ts";
import { writeMetadata } from "../sds/node-metadata.ts";
import { secretTypeUrl } from "../sds/secret.ts";
import { type Validator, validatorKey } from "../sds/validator.ts";
import { version } from "../version.ts";
import type { GrpcCall, GrpcConnection } from "./connection.ts";
import { decode, readSecret, type SeenSecret } from "./secrets.ts";

export type Method = "StreamSecrets" | "DeltaSecrets";

export interface Question {
  readonly method: Method;
  readonly names: readonly string[];
  /** Form in which to ask for bundles; undefined leaves it to the agent. */
  readonly validator: Validator | undefined;
  readonly token: string | undefined;
}

/** What one response brought. */
export interface Update {
  readonly secrets: readonly SeenSecret[];
  /** Names that stand for nothing; only DeltaSecrets tells. */
  readonly unknown: readonly string[];
}

const service = "/envoy.service.secret.v3.SecretDiscoveryService";
// google.rpc.Code
const invalidArgument = Status.INVALID_ARGUMENT;

/**
 * Asks for secrets as an Envoy does, and acknowledges each response.
 * @param signal ends the asking
 * @returns how the call ended, or undefined after `signal`
 * @throws SignetError `malformed-request` for a response that no Envoy could use; it was refused (NACK)
 */
export async function* ask(
  connection: GrpcConnection,
  question: Question,
  signal: AbortSignal,
): AsyncGenerator<Update, CallEnd | undefined> {
  const { method, token } = question;
  const call = connection.call(`${service}/${method}`, token === undefined ? {} : { authorization: `Bearer ${token}` });
  const speaker = method === "DeltaSecrets" ? new DeltaSpeaker(call, question) : new StateSpeaker(call, question);
  try {
    for (;;) {
      const message = await call.next(signal);
      if (message === undefined) return undefined;
      if (!(message instanceof Uint8Array)) return message;
      yield await speaker.hear(message);
    }
  } finally {
    call.cancel();
  }
}

const nodeOf = ({ validator }: Question) => ({
  id: "signet-agent-fetch",
  cluster: "signet-agent-fetch",
  userAgentName: "signet-agent fetch",
  userAgentVersionType: { case: "userAgentVersion" as const, value: version },
  ...(validator === undefined ? {} : { metadata: writeMetadata({ [validatorKey]: validator }) }),
});

/** State of the world: each request lists every name. */
class StateSpeaker {
  readonly #call: GrpcCall;
  readonly #question: Question;
  #acceptedVersion = "";

  constructor(call: GrpcCall, question: Question) {
    this.#call = call;
    this.#question = question;
    void this.#send({ node: nodeOf(question) });
  }

  async hear(message: Uint8Array): Promise<Update> {
    const { nonce, resources, versionInfo } = decode(DiscoveryResponseSchema, message);
    try {
      const secrets = resources.map((resource) => readSecret(resource, versionInfo));
      this.#acceptedVersion = versionInfo;
      void this.#send({ responseNonce: nonce });
      return { secrets, unknown: [] };
    } catch (error) {
      await this.#send({ responseNonce: nonce, errorDetail: refusal(error) });
      throw error;
    }
  }

  #send(more: object): Promise<void> {
    const request = create(DiscoveryRequestSchema, {
      typeUrl: secretTypeUrl,
      resourceNames: [...this.#question.names],
      versionInfo: this.#acceptedVersion,
      ...more,
    });
    return this.#call.send(toBinary(DiscoveryRequestSchema, request));
  }
}

/** Incremental: names once, then changes only. */
class DeltaSpeaker {
  readonly #call: GrpcCall;

  constructor(call: GrpcCall, question: Question) {
    this.#call = call;
    void this.#send({ node: nodeOf(question), resourceNamesSubscribe: [...question.names] });
  }

  async hear(message: Uint8Array): Promise<Update> {
    const { nonce, removedResources, resources } = decode(DeltaDiscoveryResponseSchema, message);
    try {
      const secrets = resources.flatMap(({ resource, version: own }) =>
        resource === undefined ? [] : [readSecret(resource, own)],
      );
      void this.#send({ responseNonce: nonce });
      return { secrets, unknown: removedResources };
    } catch (error) {
      await this.#send({ responseNonce: nonce, errorDetail: refusal(error) });
      throw error;
    }
  }

  #send(more: object): Promise<void> {
    const request = create(DeltaDiscoveryRequestSchema, { typeUrl: secretTypeUrl, ...more });
    return this.#call.send(toBinary(DeltaDiscoveryRequestSchema, request));
  }
}

const refusal = (error: unknown) => ({
  code: invalidArgument,
  message: asSignetError(error, "malformed-request").message.slice(0, 1_000),
});
