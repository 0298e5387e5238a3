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
import { asSignetError, SignetError, type SignetErrorCode } from "@signet/shared/errors";
import type { Deps } from "../deps.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { Method } from "../grpc/connection.ts";
import { GrpcServer } from "../grpc/server.ts";
import { Status } from "../grpc/status.ts";

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
  readonly #methods = new Map<string, Method>();
  readonly #server: GrpcServer;
  readonly #log: Deps["log"];

  constructor({ log, metrics }: Pick<Deps, "log" | "metrics">) {
    this.#log = log;
    this.#server = new GrpcServer({ methods: this.#methods, metrics, log });
  }

  add<Service extends DescService>(service: Service, handlers: Handlers<Service>): void {
    for (const method of service.methods) {
      const handle = (handlers as Record<string, (request: Message) => unknown>)[method.localName];
      this.#methods.set(`/${service.typeName}/${method.name}`, (call) => this.#serve(call, method, handle));
    }
  }

  connect(socket: Socket): void {
    this.#server.connect(socket);
  }

  stop(): void {
    this.#server.cut();
  }

  #serve(call: ServerCall, method: DescMethod, handle: ((request: Message) => unknown) | undefined): void {
    // The socket is root's alone.
    call.isTrusted = () => true;
    let request: Uint8Array | undefined;
    const answer = async () => {
      try {
        if (request === undefined) throw new SignetError("malformed-request", `${method.name} takes a request`);
        const value = (await handle?.(read(method, request))) as MessageInitShape<typeof method.output>;
        call.send(toBinary(method.output, create(method.output, value)), () => undefined);
        call.end({ code: Status.OK, message: "" });
      } catch (caught) {
        const { code, message } = asSignetError(caught, "internal");
        this.#log.warn({ method: method.name, code, reason: message }, "the kubelet's request was refused");
        // It stands in the events of the pod, where its owner looks first.
        call.end({ code: statusByCode[code] ?? Status.INTERNAL, message });
      }
    };
    call.read(
      (message) => {
        request = message;
      },
      () => void answer(),
    );
  }
}

function read({ input }: DescMethod, request: Uint8Array): Message {
  try {
    return fromBinary(input, request, { readUnknownFields: false });
  } catch (cause) {
    throw new SignetError("malformed-request", "the request is no message of its method", { cause });
  }
}
