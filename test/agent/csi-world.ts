import { randomUUID, X509Certificate } from "node:crypto";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "@signet/node-agent/config";
import type { Pod } from "../support/scripted-ca.ts";
import { Kubelet } from "./kubelet.ts";
import { SdsClient, type SeenResponse } from "./sds-client.ts";
import { World } from "./world.ts";

/** An agent that is a CSI driver, and the kubelet of its node. */
export class CsiWorld {
  readonly world: World;
  readonly kubelet: Kubelet;
  readonly #clients: SdsClient[] = [];

  private constructor(world: World) {
    this.world = world;
    this.kubelet = new Kubelet(world.folder);
  }

  static async start(settings: Settings = {}): Promise<CsiWorld> {
    const made = new CsiWorld(await World.withoutAgent());
    await made.world.startAgent({ ...made.kubelet.settings, ...settings });
    return made;
  }

  /** Somebody inside the pod: no token, only the socket, by the short path at which the pod has it mounted. */
  inside(pod: Pod, name?: string): SdsClient {
    const mounted = join(this.world.folder, `m${this.#clients.length}`);
    symlinkSync(this.kubelet.target({ pod, ...(name === undefined ? {} : { name }) }), mounted);
    const client = new SdsClient(join(mounted, "socket"));
    this.#clients.push(client);
    return client;
  }

  async readiness(): Promise<{ status: number; reason?: string }> {
    const response = await fetch(`${this.world.agent.adminUrl}/readyz`);
    return { status: response.status, ...((await response.json()) as { reason?: string }) };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    this.kubelet.close();
    await this.world.stop();
  }
}

export function aPod(serviceAccount = "sleep"): Pod {
  return { namespace: "foo", serviceAccount, podName: `${serviceAccount}-1`, podUid: randomUUID() };
}

export function idOf(response: SeenResponse): string | undefined {
  return new X509Certificate(response.secrets[0]?.chain ?? "").subjectAltName;
}
