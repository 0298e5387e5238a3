import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, serialOf, settle, World } from "./world.ts";

const served = "the CA cannot be asked; the token verifies here and is served what there is";

let world: World;
beforeEach(async () => {
  world = await World.withoutAgent();
  const agentPod = makePod("signet-node-agent", "signet-system");
  writeFileSync(join(world.folder, "node-token"), world.ca.token({ ...agentPod, nodeUid: "here" }));
  await world.startAgent({ nodeToken: { value: join(world.folder, "node-token"), source: "test" } });
  await until("the token issuers", () => world.ca.issuerRequests > 0, { every: 5 });
});
afterEach(async () => {
  await world.stop();
});

const here = () => ({ ...makePod(), nodeUid: "here" });

async function startOne(pod: ReturnType<typeof here>) {
  const stream = world
    .client()
    .withToken(world.ca.token(pod, { lifetime: 600 }))
    .request({ names: ["default"] });
  const first = await stream.next();
  stream.cancel();
  await stream.end();
  return serialOf(first);
}
const open = (token: string) =>
  world
    .client()
    .withToken(token)
    .request({ names: ["default"] });

test("an Envoy that restarts with a fresh token while the CA is away is served from memory", async () => {
  const pod = here();
  const serial = await startOne(pod);
  await world.ca.stop();
  const again = open(world.ca.token(pod));
  expect(serialOf(await again.next())).toBe(serial);
  expect(world.metrics.tokensVerifiedOffline).toBe(1);
  // Known to be away: the next one does not even wait for a request to fail.
  const third = open(world.ca.token(pod));
  expect(serialOf(await third.next())).toBe(serial);
  expect(await world.workloads()).toMatchObject([{ issuedCount: 1, streams: 2 }]);
});

test("the fresh token is the one that the next renewal is asked with, and the CA judges it then", async () => {
  const pod = here();
  const serial = await startOne(pod);
  await world.ca.stop();
  const fresh = world.ca.token(pod, { lifetime: 7_200 });
  const again = open(fresh);
  await again.next();
  await world.ca.listen();
  world.clock.advance(1_801);
  expect(serialOf(await again.next())).not.toBe(serial);
  expect(world.ca.requests.at(-1)?.token).toBe(fresh);
});

test("while the CA answers, the CA alone judges", async () => {
  const pod = here();
  const serial = await startOne(pod);
  const again = open(world.ca.token(pod));
  expect(serialOf(await again.next())).not.toBe(serial);
  expect(world.metrics.tokensVerifiedOffline).toBe(0);
});

test("no token but one of the same pod and account, by the right key, of this node, gets anything", async () => {
  const pod = here();
  await startOne(pod);
  await world.ca.stop();
  const tokens = {
    forged: world.ca.forge(pod),
    "another pod": world.ca.token({ ...pod, podUid: "another" }),
    "another account": world.ca.token({ ...pod, serviceAccount: "other" }),
    "no node": world.ca.token(pod, {
      claims: {
        "kubernetes.io": {
          namespace: pod.namespace,
          serviceaccount: { name: pod.serviceAccount },
          pod: { name: pod.podName, uid: pod.podUid },
        },
      },
    }),
    "another audience": world.ca.token(pod, { claims: { aud: ["api"] } }),
  };
  const streams = Object.values(tokens).map(open);
  const failed = () => world.lines.filter(({ message }) => message === "no certificate yet; will try again").length;
  await until("each to have been tried", () => failed() >= streams.length, { every: 5 });
  for (const stream of streams) {
    expect(stream.received).toEqual([]);
    stream.cancel();
  }
  expect(world.metrics.tokensVerifiedOffline).toBe(0);
  expect(await world.workloads()).toHaveLength(1);
});

test("a token that the CA has refused, be it long ago, is not served when the CA is away", async () => {
  const pod = here();
  await startOne(pod);
  const token = world.ca.token(pod);
  world.ca.script = { status: 401, code: "token-not-accepted" };
  await open(token).end();
  await world.ca.stop();
  world.clock.advance(60);
  const stream = open(token);
  await world.untilLogged("no certificate yet; will try again");
  expect(stream.received).toEqual([]);
  // Another token of the pod is another matter.
  await open(world.ca.token(pod)).next();
  stream.cancel();
});

test("a pod that the CA has found not entitled is not served when the CA is away, whatever its token", async () => {
  const pod = here();
  await startOne(pod);
  world.ca.script = { status: 403, code: "identity-not-entitled" };
  await open(world.ca.token(pod)).end();
  await world.ca.stop();
  const stream = open(world.ca.token(pod));
  await world.untilLogged("no certificate yet; will try again");
  expect(stream.received).toEqual([]);
  stream.cancel();
});

test("a renewal that was refused shuts the way, too", async () => {
  const pod = here();
  const held = open(world.ca.token(pod, { lifetime: 7_200 }));
  await held.next();
  world.ca.script = { status: 403, code: "identity-not-entitled" };
  world.clock.advance(1_801);
  await held.end();
  await world.ca.stop();
  const stream = open(world.ca.token(pod));
  await world.untilLogged("no certificate yet; will try again");
  expect(stream.received).toEqual([]);
  stream.cancel();
});

test("nothing is made of a token of a pod that the agent does not know", async () => {
  await world.ca.stop();
  const client = world.client();
  const stream = client.withToken(world.ca.token(here())).request({ names: ["default"] });
  await world.untilLogged("no certificate yet; will try again");
  await settle(client);
  expect(stream.received).toEqual([]);
  expect(await world.workloads()).toEqual([]);
  expect(world.lines.map(({ message }) => message)).not.toContain(served);
  stream.cancel();
});
