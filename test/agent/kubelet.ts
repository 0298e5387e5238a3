import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  type DescMethodUnary,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { Identity, Node } from "@signet/node-agent/gen/csi/v1/csi_pb";
import { Registration } from "@signet/node-agent/gen/pluginregistration/api_pb";
import type { Pod } from "../support/scripted-ca.ts";

/** A pod's volume as a kubelet asks for it. */
export interface Volume {
  readonly pod: Pod;
  readonly token: string;
  readonly name?: string;
}

export type PublishParts = MessageInitShape<(typeof Node.method.nodePublishVolume)["input"]>;

/** What a kubelet does with a CSI driver of ephemeral volumes, over the same sockets and messages. */
export class Kubelet {
  readonly directory: string;
  readonly csiSocket: string;
  readonly registrationSocket: string;
  #clients: Client[] = [];

  constructor(folder: string) {
    this.directory = join(folder, "kubelet");
    this.csiSocket = join(folder, "csi.sock");
    this.registrationSocket = join(this.directory, "plugins_registry/csi.signet.dev-reg.sock");
    mkdirSync(join(this.directory, "plugins_registry"), { recursive: true });
    mkdirSync(join(this.directory, "pods"), { recursive: true });
  }

  /** The agent's settings that belong to this kubelet. */
  get settings() {
    const set = (value: string) => ({ value, source: "test" });
    return { csiSocket: set(this.csiSocket), kubeletDir: set(this.directory), nodeName: set("node-1") };
  }

  volumeDirectory({ pod, name = "identity" }: Pick<Volume, "pod" | "name">): string {
    return join(this.directory, "pods", pod.podUid, "volumes/kubernetes.io~csi", name);
  }

  target(volume: Pick<Volume, "pod" | "name">): string {
    return join(this.volumeDirectory(volume), "mount");
  }

  socket(volume: Pick<Volume, "pod" | "name">): string {
    return join(this.target(volume), "socket");
  }

  /** Asks the driver who it is, and tells it how its registration went. */
  async register(error = ""): Promise<MessageShape<(typeof Registration.method.getInfo)["output"]>> {
    const info = await this.call(this.registrationSocket, Registration.method.getInfo, {});
    await this.call(this.registrationSocket, Registration.method.notifyRegistrationStatus, {
      pluginRegistered: error === "",
      error,
    });
    return info;
  }

  /** What the kubelet sends for a volume. */
  request(volume: Volume): PublishParts {
    const { pod, token } = volume;
    return {
      volumeId: `csi-${pod.podUid}`,
      targetPath: this.target(volume),
      volumeCapability: { accessType: { case: "mount", value: {} } },
      readonly: true,
      volumeContext: {
        "csi.storage.k8s.io/pod.name": pod.podName,
        "csi.storage.k8s.io/pod.namespace": pod.namespace,
        "csi.storage.k8s.io/pod.uid": pod.podUid,
        "csi.storage.k8s.io/serviceAccount.name": pod.serviceAccount,
        "csi.storage.k8s.io/ephemeral": "true",
        "csi.storage.k8s.io/serviceAccount.tokens": JSON.stringify({
          "signet-ca": { token, expirationTimestamp: "2030-01-01T00:00:00Z" },
        }),
      },
    };
  }

  /** Makes the volume's directory and its record, as the kubelet does before it publishes. */
  prepare(volume: Pick<Volume, "pod" | "name">, driverName = "csi.signet.dev"): void {
    const directory = this.volumeDirectory(volume);
    mkdirSync(directory, { recursive: true });
    const record = { driverName, nodeName: "node-1", volumeHandle: "csi-1", volumeLifecycleMode: "Ephemeral" };
    writeFileSync(join(directory, "vol_data.json"), JSON.stringify(record));
  }

  async publish(volume: Volume): Promise<void> {
    this.prepare(volume);
    await this.publishRaw(this.request(volume));
  }

  async publishRaw(request: PublishParts): Promise<void> {
    await this.call(this.csiSocket, Node.method.nodePublishVolume, request);
  }

  async unpublish(volume: Pick<Volume, "pod" | "name">): Promise<void> {
    await this.unpublishPath(this.target(volume));
  }

  async unpublishPath(targetPath: string): Promise<void> {
    await this.call(this.csiSocket, Node.method.nodeUnpublishVolume, { volumeId: "csi-1", targetPath });
  }

  async probe(): Promise<boolean | undefined> {
    return (await this.call(this.csiSocket, Identity.method.probe, {})).ready;
  }

  /** Publishes and unpublishes a volume many times over one connection, without waiting for answers in between. */
  async repeatAtOnce(volume: Volume, times: number): Promise<PromiseSettledResult<unknown>[]> {
    const client = this.#client(this.csiSocket);
    const { targetPath = "" } = this.request(volume);
    const calls = Array.from({ length: times }, () => [
      this.#invoke(client, Node.method.nodePublishVolume, this.request(volume)),
      this.#invoke(client, Node.method.nodeUnpublishVolume, { volumeId: "csi-1", targetPath }),
    ]);
    return await Promise.allSettled(calls.flat());
  }

  close(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }

  async call<Method extends DescMethodUnary>(
    socket: string,
    method: Method,
    request: MessageInitShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]>> {
    const client = this.#client(socket);
    try {
      return await this.#invoke(client, method, request);
    } finally {
      client.close();
    }
  }

  #client(socket: string): Client {
    const client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    this.#clients.push(client);
    return client;
  }

  #invoke<Method extends DescMethodUnary>(
    client: Client,
    method: Method,
    request: MessageInitShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]>> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: Message) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes) as MessageShape<Method["output"]>,
        create(method.input, request) as Message,
        (error: ServiceError | null, answer?: MessageShape<Method["output"]>) => {
          if (error !== null) reject(error);
          else if (answer !== undefined) resolve(answer);
        },
      );
    });
  }
}
