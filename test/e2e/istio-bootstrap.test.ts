/**
 * The sidecar of an Istio mesh as far as Envoy goes: a real Envoy whose bootstrap and sds_config are Istio's, with the
 * agent's socket where Istio looks for one. Istio's own programs take part in test/cluster/istio-sidecar.test.ts.
 */
import { createServer } from "node:net";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, Load } from "../support/load.ts";
import { until } from "../support/poll.ts";
import { shownSerial } from "../support/stranger.ts";
import { IstioWorld, type Sidecar } from "./istio-world.ts";

let world: IstioWorld;

beforeAll(async () => {
  world = await IstioWorld.create({ leafTtl: "40s" });
});
afterAll(() => world?.close());

/** As Istio looks at a socket: an HTTP/2 connection must be there within a second; no call is made on it. */
function dial(socket: string): Promise<Client | undefined> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  return new Promise((resolve) => {
    client.waitForReady(Date.now() + 1_000, (error) => {
      if (error !== undefined) client.close();
      resolve(error === undefined ? client : undefined);
    });
  });
}

async function isHealthy(socket: string): Promise<boolean> {
  const client = await dial(socket);
  client?.close();
  return client !== undefined;
}

const serialOf = async ({ envoy }: Sidecar) => (await envoy.admin.certificate())?.serialNumber;
const serials = () => Promise.all(world.sidecars.map(serialOf));
const pids = () => world.sidecars.map(({ envoy }) => envoy.pid);

describe("the secrets", () => {
  it("come to an Envoy that names only the socket: no token, no metadata", async () => {
    await world.publishAll();
    for (const { envoy } of world.sidecars) await envoy.start();
    for (const { envoy, spiffeId } of world.sidecars) {
      await envoy.untilReady();
      expect(await envoy.admin.certificate()).toMatchObject({ spiffeId });
      expect(await envoy.admin.secretNames()).toEqual(["ROOTCA", "default"]);
      expect(await envoy.admin.rootSerials()).toHaveLength(1);
    }
  });

  it("are good for mutual TLS with another such Envoy", async () => {
    expect(await call(world.way)).toEqual({ status: 200, caller: world.sleep.spiffeId });
  });

  it("rotate while requests flow, without a failure or a restart", async () => {
    const [before, born] = [await serials(), pids()];
    const load = new Load([world.way]);
    await until("new certificates", async () => (await serials()).every((serial, n) => serial !== before[n]), {
      within: 60_000,
      every: 200,
    });
    const { requests, failures, examples } = await load.stop();
    expect(examples).toEqual([]);
    expect(failures).toBe(0);
    expect(requests).toBeGreaterThan(100);
    expect(pids()).toEqual(born);
  });
});

describe("a restart of the agent", () => {
  it("leaves the socket in place, and a live Envoy comes back to it by itself", async () => {
    const [before, born] = [await serials(), pids()];
    const load = new Load([world.way]);
    await world.stopAgent();
    expect(await isHealthy(world.socketIn(world.sleep))).toBe(false);
    await world.startAgent();
    await world.publishAll();
    await until("certificates of the new agent", async () =>
      (await serials()).every((serial, n) => serial !== before[n]),
    );
    const { failures, examples } = await load.stop();
    expect(examples).toEqual([]);
    expect(failures).toBe(0);
    expect(pids()).toEqual(born);
  });

  it("is waited for by an Envoy that starts in between", async () => {
    await world.stopAgent();
    for (const { envoy } of world.sidecars) {
      await envoy.stop();
      await envoy.start();
      await envoy.untilAdminAnswers();
      // initial_fetch_timeout 0s: no port without an identity.
      expect(await envoy.admin.isReady()).toBe(false);
      expect(await envoy.admin.certificate()).toBeUndefined();
    }
    await expect(call(world.way)).rejects.toThrow("ECONNREFUSED");
    await world.startAgent();
    // The sockets are there, whose they are is not: the kubelet publishes again in its own time.
    await until("the socket", () => isHealthy(world.socketIn(world.sleep)));
    for (const { envoy } of world.sidecars) expect(await envoy.admin.isReady()).toBe(false);
    await world.publishAll();
    for (const { envoy } of world.sidecars) await envoy.untilReady();
    expect(await call(world.way)).toEqual({ status: 200, caller: world.sleep.spiffeId });
  });
});

describe("Istio's check of the socket, one second for HTTP/2 to begin", () => {
  it("finds it healthy, and so for each of 250 pods that all stay connected", async () => {
    const clients: (Client | undefined)[] = [];
    try {
      for (let n = 0; n < 250; n++) {
        const pod = world.newPod(`account-${n}`);
        await world.publish(pod);
        clients.push(await dial(await world.shortPath(pod)));
        expect(clients[n], `pod ${n}`).toBeDefined();
      }
      expect(await isHealthy(world.socketIn(world.sleep))).toBe(true);
    } finally {
      for (const client of clients) client?.close();
    }
  });

  it("finds a listener that never answers unhealthy", async () => {
    const socket = join(world.work.path, "mute");
    const mute = createServer();
    await new Promise<void>((resolve) => mute.listen(socket, resolve));
    expect(await isHealthy(socket)).toBe(false);
    mute.close();
  });
});

it("shows on the wire what Envoy's admin page tells", async () => {
  await until("the same serial", async () => {
    return (await shownSerial(world.inboundPort)) === (await serialOf(world.httpbin));
  });
});
