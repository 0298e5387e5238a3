import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import type { Pod } from "../support/scripted-ca.ts";
import { aPod, CsiWorld, idOf } from "./csi-world.ts";
import type { Kubelet } from "./kubelet.ts";
import { serialOf, type World } from "./world.ts";

let csi: CsiWorld;
let world: World;
let kubelet: Kubelet;
const inside = (pod: Pod, name?: string) => csi.inside(pod, name);

beforeEach(async () => {
  csi = await CsiWorld.start();
  ({ world, kubelet } = csi);
});
afterEach(() => csi.stop());

describe("registration", () => {
  test("tells the kubelet type, name, endpoint and version, and is ready once registered", async () => {
    await until("the bundle", async () => (await csi.readiness()).reason?.includes("registered"));
    expect(await kubelet.register()).toMatchObject({
      type: "CSIPlugin",
      name: "csi.signet.dev",
      endpoint: kubelet.csiSocket,
      supportedVersions: ["1.0.0"],
    });
    expect((await csi.readiness()).status).toBe(200);
    expect(await kubelet.probe()).toBe(true);
  });

  test("is not ready, and says why, when the kubelet refuses it", async () => {
    await kubelet.register("no such endpoint");
    await until("the reason", async () => (await csi.readiness()).reason?.includes("no such endpoint"));
    expect(await csi.readiness()).toMatchObject({ status: 503 });
  });

  test("only root reaches the kubelet's sockets", () => {
    for (const socket of [kubelet.csiSocket, kubelet.registrationSocket]) {
      expect(statSync(socket).mode & 0o777).toBe(0o600);
    }
  });
});

describe("a pod's socket", () => {
  test("is that pod: key, chain and bundle without any token, in a directory that others cannot write", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    expect(statSync(kubelet.socket({ pod })).mode & 0o777).toBe(0o666);
    expect(statSync(kubelet.target({ pod })).mode & 0o777).toBe(0o755);
    expect(readdirSync(kubelet.target({ pod }))).toEqual(["socket"]);

    const client = inside(pod);
    const svid = await client
      .stream({})
      .request({ names: ["default"] })
      .next();
    expect(idOf(svid)).toBe("URI:spiffe://cluster.local/ns/foo/sa/sleep");
    expect(svid.secrets[0]?.key).toContain("PRIVATE KEY");
    const bundle = await client
      .stream({})
      .request({ names: ["ROOTCA"] })
      .next();
    expect(bundle.secrets[0]?.roots).toBe(world.ca.rootPems.join(""));
    expect(await world.workloads()).toMatchObject([{ podUid: pod.podUid, streams: 1 }]);
  });

  test("is open to every user of the pod, whatever the agent's umask", async () => {
    const pod = aPod();
    const before = process.umask(0o077);
    try {
      await kubelet.publish({ pod, token: world.ca.token(pod) });
    } finally {
      process.umask(before);
    }
    expect(statSync(kubelet.target({ pod })).mode & 0o777).toBe(0o755);
    expect(statSync(kubelet.socket({ pod })).mode & 0o777).toBe(0o666);
  });

  test("can have a path that is too long for a socket", async () => {
    const pod = aPod();
    const name = `identity-${"x".repeat(50)}`;
    expect(kubelet.socket({ pod, name }).length).toBeGreaterThan(107);
    await kubelet.publish({ pod, name, token: world.ca.token(pod) });
    expect(lstatSync(kubelet.socket({ pod, name })).isSocket()).toBe(true);
  });

  test("stays that pod whatever token is sent on it", async () => {
    const pod = aPod();
    const other = aPod("httpbin");
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    const svid = await inside(pod)
      .withToken(world.ca.token(other))
      .request({ names: ["default"] })
      .next();
    expect(idOf(svid)).toBe("URI:spiffe://cluster.local/ns/foo/sa/sleep");
  });

  test("does not give another workload of the same account the same key", async () => {
    const [one, two] = [aPod(), aPod()];
    for (const pod of [one, two]) await kubelet.publish({ pod, token: world.ca.token(pod) });
    const first = await inside(one)
      .stream({})
      .request({ names: ["default"] })
      .next();
    const second = await inside(two)
      .stream({})
      .request({ names: ["default"] })
      .next();
    expect(first.secrets[0]?.key).not.toBe(second.secrets[0]?.key);
    expect(idOf(first)).toBe(idOf(second));
  });

  test("does not serve a forged token, and the pod gets the CA's refusal", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.forge(pod) });
    const end = await inside(pod)
      .stream({})
      .request({ names: ["default"] })
      .end();
    expect(end.code).toBe(status.UNAUTHENTICATED);
  });

  test("takes 16 connections at once and no more, while other pods' sockets go on", async () => {
    const [flooding, calm] = [aPod(), aPod("httpbin")];
    for (const pod of [flooding, calm]) await kubelet.publish({ pod, token: world.ca.token(pod) });
    const mounted = join(world.folder, "flooded");
    symlinkSync(kubelet.target({ pod: flooding }), mounted);
    const sockets = Array.from({ length: 200 }, () => connect(join(mounted, "socket")));
    let closed = 0;
    for (const socket of sockets) socket.on("error", () => undefined).once("close", () => closed++);
    await until("184 connections to be closed", () => closed === 184);
    expect(
      idOf(
        await inside(calm)
          .stream({})
          .request({ names: ["default"] })
          .next(),
      ),
    ).toContain("sa/httpbin");
    for (const socket of sockets) socket.destroy();
  });
});

describe("published again", () => {
  test("with the same token any number of times: one socket, one certificate, no descriptor more", async () => {
    const pod = aPod();
    const volume = { pod, token: world.ca.token(pod) };
    await Promise.all(Array.from({ length: 20 }, () => kubelet.publish(volume)));
    const stream = inside(pod)
      .stream({})
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    const { ino } = lstatSync(kubelet.socket({ pod }));
    const descriptors = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 50; round++) await kubelet.publish(volume);
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(descriptors + 10);
    expect(lstatSync(kubelet.socket({ pod })).ino).toBe(ino);
    expect(world.ca.requests).toHaveLength(1);
    expect(stream.untaken).toBe(0);
  });

  test("with a fresh token: the renewal uses it, on the same stream", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod, { lifetime: 600 }) });
    const stream = inside(pod)
      .stream({})
      .request({ names: ["default"] });
    const first = await stream.nextAcked(["default"]);
    const fresh = world.ca.token(pod, { lifetime: 7_200 });
    await kubelet.publish({ pod, token: fresh });
    expect(world.ca.requests).toHaveLength(1);
    world.clock.advance(1_900);
    const second = await stream.next();
    expect(serialOf(second)).not.toBe(serialOf(first));
    expect(world.ca.requests.map(({ token }) => token)[1]).toBe(fresh);
  });

  test("after the token ran out before the renewal: the stream lived on, and the renewal comes with the token", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod, { lifetime: 600 }) });
    const stream = inside(pod)
      .stream({})
      .request({ names: ["default"] });
    const first = await stream.nextAcked(["default"]);
    world.clock.advance(1_900);
    // A stream that starts now is served too.
    const again = await inside(pod)
      .stream({})
      .request({ names: ["default"] })
      .next();
    expect(serialOf(again)).toBe(serialOf(first));
    expect(stream.ended).toBeUndefined();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    expect(serialOf(await stream.next())).not.toBe(serialOf(first));
  });

  test.each(["socket", "directory"])("after the %s was taken away: it is there again", async (what) => {
    const pod = aPod();
    const volume = { pod, token: world.ca.token(pod) };
    await kubelet.publish(volume);
    if (what === "socket") unlinkSync(kubelet.socket({ pod }));
    else rmSync(kubelet.target({ pod }), { recursive: true });
    await kubelet.publish(volume);
    expect(
      idOf(
        await inside(pod)
          .stream({})
          .request({ names: ["default"] })
          .next(),
      ),
    ).toContain("sa/sleep");
  });
});

describe("a restart of the agent", () => {
  test("leaves the sockets; the next agent serves them at once and answers when the token is there", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    await inside(pod)
      .stream({})
      .request({ names: ["default"] })
      .next();
    await world.agent.stop();
    expect(lstatSync(kubelet.socket({ pod })).isSocket()).toBe(true);
    expect(existsSync(kubelet.csiSocket)).toBe(false);
    expect(existsSync(kubelet.registrationSocket)).toBe(false);

    await world.startAgent(kubelet.settings);
    const stream = inside(pod)
      .stream({})
      .request({ names: ["default"] });
    await world.untilLogged("made the sockets of running pods again");
    await expect(kubelet.publish({ pod: aPod(), token: "no token" })).rejects.toThrow();
    expect(stream.received).toHaveLength(0);
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    expect(idOf(await stream.next())).toContain("sa/sleep");
  });

  test("after it lost its power in the middle of making a socket: nothing but the socket is there", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    await world.agent.stop();
    renameSync(kubelet.socket({ pod }), join(kubelet.target({ pod }), ".1a2b3"));
    await world.startAgent(kubelet.settings);
    expect(readdirSync(kubelet.target({ pod }))).toEqual(["socket"]);
  });

  test("touches only volumes of this driver that were published", async () => {
    await world.agent.stop();
    const [others, unpublished, broken] = [aPod(), aPod(), aPod()];
    kubelet.prepare({ pod: others }, "csi.spiffe.io");
    mkdirSync(kubelet.target({ pod: others }));
    kubelet.prepare({ pod: unpublished });
    kubelet.prepare({ pod: broken });
    mkdirSync(kubelet.target({ pod: broken }));
    writeFileSync(join(kubelet.volumeDirectory({ pod: broken }), "vol_data.json"), "{");
    await world.startAgent(kubelet.settings);
    expect(readdirSync(kubelet.target({ pod: others }))).toEqual([]);
    expect(existsSync(kubelet.target({ pod: unpublished }))).toBe(false);
    expect(readdirSync(kubelet.target({ pod: broken }))).toEqual([]);
  });
});

test("tokens in secrets are taken, and count before those in the context", async () => {
  const pod = aPod();
  const request = kubelet.request({ pod, token: world.ca.forge(pod) });
  kubelet.prepare({ pod });
  await kubelet.publishRaw({
    ...request,
    secrets: {
      "csi.storage.k8s.io/serviceAccount.tokens": JSON.stringify({ "signet-ca": { token: world.ca.token(pod) } }),
    },
  });
  expect(
    idOf(
      await inside(pod)
        .stream({})
        .request({ names: ["default"] })
        .next(),
    ),
  ).toContain("sa/sleep");
});

test("a pod that had the shared socket too has one key by both ways", async () => {
  const pod = aPod();
  await kubelet.publish({ pod, token: world.ca.token(pod) });
  const own = await inside(pod)
    .stream({})
    .request({ names: ["default"] })
    .next();
  const shared = await world
    .client()
    .withToken(world.ca.token(pod))
    .request({ names: ["default"] })
    .nextAcked(["default"]);
  // The token was new to the CA, and brought a certificate of its own, which both ways have from then on.
  expect(await world.workloads()).toHaveLength(1);
  expect(idOf(shared)).toBe(idOf(own));
});

test("the metrics tell volumes, registration and results", async () => {
  const pod = aPod();
  await kubelet.publish({ pod, token: world.ca.token(pod) });
  await kubelet.publish({ pod, token: "x" }).catch(() => undefined);
  await kubelet.register();
  const text = await (await fetch(`${world.agent.adminUrl}/metrics`)).text();
  expect(text).toContain("signet_agent_csi_registered 1");
  expect(text).toContain('signet_agent_csi_volumes{token="yes"} 1');
  expect(text).toContain('signet_agent_csi_publish_total{result="published"} 1');
  expect(text).toContain('signet_agent_csi_publish_total{result="malformed-token"} 1');
});
