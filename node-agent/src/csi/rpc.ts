import type { Socket } from "node:net";
import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ServerUnaryCall, ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from "@grpc/grpc-js";
import { Status } from "@grpc/grpc-js/build/src/constants.js";
import { Server } from "@grpc/grpc-js/build/src/server.js";
import { ServerCredentials } from "@grpc/grpc-js/build/src/server-credentials.js";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, type SignetErrorCode } from "@signet/shared/errors";

/** One function for each method of a service, by its name in TypeScript. */
export type Handlers<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: (
    request: MessageShape<Service["method"][Name]["input"]>,
  ) =>
    | MessageInitShape<Service["method"][Name]["output"]>
    | Promise<MessageInitShape<Service["method"][Name]["output"]>>;
};

const statusByCode: Partial<Record<SignetErrorCode, Status>> = {
  "malformed-request": Status.INVALID_ARGUMENT,
  "malformed-token": Status.INVALID_ARGUMENT,
  "token-missing": Status.FAILED_PRECONDITION,
  "token-expired": Status.UNAVAILABLE,
  "wrong-node": Status.PERMISSION_DENIED,
  "socket-in-use": Status.UNAVAILABLE,
  "socket-unavailable": Status.INTERNAL,
};

/** A server of unary methods for the kubelet, over connections that are handed in one by one. */
export class UnaryServer {
  readonly #server = new Server({ "grpc.enable_channelz": 0 });
  readonly #injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  add<Service extends DescService>(service: Service, handlers: Handlers<Service>): void {
    const definition: Record<string, ServiceDefinition[string]> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      definition[method.localName] = methodDefinition(service, method);
      implementation[method.localName] = (call: ServerUnaryCall<Message, Message>, answer: sendUnaryData<Message>) => {
        const handle = (handlers as Record<string, (request: Message) => unknown>)[method.localName];
        Promise.resolve()
          .then(() => handle?.(call.request))
          .then(
            (value) => answer(null, create(method.output, value as MessageInitShape<typeof method.output>)),
            (caught: unknown) => {
              const { code, message } = asSignetError(caught, "internal");
              this.#log.warn({ method: method.name, code, reason: message }, "the kubelet's request was refused");
              // It stands in the events of the pod, where its owner looks first.
              answer({ code: statusByCode[code] ?? Status.INTERNAL, details: message });
            },
          );
      };
    }
    this.#server.addService(definition, implementation);
  }

  connect(socket: Socket): void {
    this.#injector.injectConnection(socket);
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

function methodDefinition(service: DescService, method: DescMethod): ServiceDefinition[string] {
  const encode = (desc: DescMethod["input"]) => (message: Message) => {
    const { buffer, byteLength, byteOffset } = toBinary(desc, message);
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  const decode = (desc: DescMethod["input"]) => (bytes: Buffer) =>
    fromBinary(desc, bytes, { readUnknownFields: false });
  return {
    path: `/${service.typeName}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: encode(method.input),
    requestDeserialize: decode(method.input),
    responseSerialize: encode(method.output),
    responseDeserialize: decode(method.output),
  };
}
