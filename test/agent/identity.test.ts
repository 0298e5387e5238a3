import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makePod, serialOf, settle, World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.stop();
});

const both = ["istio_sds_credentials_header-bin", "istio_sds_credentail_header-bin"];

describe("where the token is", () => {
  test.each([
    { what: "authorization with Bearer", headers: (token: string) => ({ authorization: `Bearer ${token}` }) },
    { what: "authorization with bearer", headers: (token: string) => ({ authorization: `bearer ${token}` }) },
    { what: "authorization alone", headers: (token: string) => ({ authorization: token }) },
    ...both.map((name) => ({ what: name, headers: (token: string) => ({ [name]: Buffer.from(token) }) })),
    {
      what: "two headers that agree, one with the newline of its file",
      headers: (token: string) => ({ authorization: token, [both[0] as string]: Buffer.from(`${token}\n`) }),
    },
  ])("$what", async ({ headers }) => {
    const stream = world.client().stream(headers(world.ca.token(makePod())));
    expect((await stream.request({ names: ["default"] }).next()).secrets).toHaveLength(1);
  });

  test("nowhere: UNAUTHENTICATED, saying where it is looked for", async () => {
    const ended = await world
      .client()
      .stream({})
      .request({ names: ["default"] })
      .end();
    expect(ended.code).toBe(status.UNAUTHENTICATED);
    for (const name of ["authorization", ...both]) expect(ended.details).toContain(name);
  });

  test("two headers that disagree: UNAUTHENTICATED", async () => {
    const [a, b] = [world.ca.token(makePod()), world.ca.token(makePod())];
    const stream = world.client().stream({ authorization: a, [both[0] as string]: Buffer.from(b) });
    expect(await stream.end()).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(world.ca.requests).toHaveLength(0);
  });

  test("twice in one header: UNAUTHENTICATED", async () => {
    const token = Buffer.from(world.ca.token(makePod()));
    const stream = world.client().stream({ [both[0] as string]: [token, token] });
    expect(await stream.end()).toMatchObject({ code: status.UNAUTHENTICATED });
  });
});

describe("tokens refused without asking the CA", () => {
  test.each([
    { what: "no JWS", make: () => "secret" },
    { what: "a payload that is not JSON", make: () => "e30.bm90.c2ln" },
    {
      what: "no pod",
      make: (w: World) => w.ca.token(makePod(), { claims: { "kubernetes.io": { namespace: "foo" } } }),
    },
    {
      what: "a subject of somebody else",
      make: (w: World) => w.ca.token(makePod(), { claims: { sub: "system:serviceaccount:a:b" } }),
    },
    { what: "over the length", make: (w: World) => w.ca.token(makePod(), { claims: { more: "x".repeat(20_000) } }) },
  ])("$what", async ({ make }) => {
    const stream = world.client().withToken(make(world));
    expect(await stream.request({ names: ["ROOTCA"] }).end()).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(world.ca.requests).toHaveLength(0);
  });

  test("expired, also for one that was good before; the state stays", async () => {
    const pod = makePod();
    const client = world.client();
    const token = world.ca.token(pod, { lifetime: 600 });
    await client
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    world.clock.advance(601);
    const ended = await client
      .withToken(token)
      .request({ names: ["default"] })
      .end();
    expect(ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(ended.details).toContain("expired");
    expect(await world.workloads()).toHaveLength(1);
  });
});

describe("the agent's own token", () => {
  test("names the node: a pod of another is refused; it is sent along, and read again when it changes", async () => {
    await world.agent.stop();
    const file = join(world.folder, "node-token");
    const agentPod = makePod("signet-node-agent", "signet-system");
    const first = world.ca.token({ ...agentPod, nodeUid: "here" });
    writeFileSync(file, `${first}\n`);
    await world.startAgent({ nodeToken: { value: file, source: "test" } });
    const client = world.client();

    const there = client.withToken(world.ca.token({ ...makePod(), nodeUid: "there" }));
    expect(await there.end()).toMatchObject({ code: status.PERMISSION_DENIED });
    await client
      .withToken(world.ca.token({ ...makePod(), nodeUid: "here" }))
      .request({ names: ["default"] })
      .next();
    const second = world.ca.token({ ...agentPod, nodeUid: "here" }, { lifetime: 7_200 });
    writeFileSync(file, second);
    await client
      .withToken(world.ca.token({ ...makePod(), nodeUid: "here" }))
      .request({ names: ["default"] })
      .next();
    expect(world.ca.requests.map(({ nodeToken }) => nodeToken)).toEqual([first, second]);
  });
});

describe("only what the CA has accepted counts", () => {
  test("a forged token with a victim's pod gets nothing of the victim's, and the victim notices nothing", async () => {
    const pod = makePod();
    const victims = world.client();
    const victim = victims.withToken(world.ca.token(pod)).request({ names: ["default"] });
    await victim.nextAcked(["default"]);

    const forger = world
      .client()
      .withToken(world.ca.forge(pod))
      .request({ names: ["default"] });
    const ended = await forger.end();
    expect(ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(ended.details).toContain("request-1");
    expect(forger.received).toHaveLength(0);
    await settle(victims);
    expect(victim.untaken).toBe(0);
    expect(await world.workloads()).toMatchObject([{ issuedCount: 1, streams: 1, lastError: null }]);
  });

  test("a forged token waits in vain while the CA is away, though the victim's secret is here", async () => {
    const pod = makePod();
    const client = world.client();
    await client
      .withToken(world.ca.token(pod))
      .request({ names: ["default"] })
      .next();
    world.ca.script = { status: 503 };
    const forger = client.withToken(world.ca.forge(pod)).request({ names: ["default"] });
    await world.untilRequests(3);
    expect(forger.received).toHaveLength(0);
    forger.cancel();
  });

  test("a real token with a cut signature is another token", async () => {
    const token = world.ca.token(makePod());
    const client = world.client();
    await client
      .withToken(token)
      .request({ names: ["default"] })
      .next();
    const ended = await client
      .withToken(token.slice(0, -1))
      .request({ names: ["default"] })
      .end();
    expect(ended).toMatchObject({ code: status.UNAUTHENTICATED });
  });

  test("a refused token is not asked about again for a few seconds, then it is", async () => {
    const token = world.ca.forge(makePod());
    const client = world.client();
    for (let n = 0; n < 3; n++)
      await client
        .withToken(token)
        .request({ names: ["default"] })
        .end();
    expect(world.ca.requests).toHaveLength(1);
    world.clock.advance(6);
    await client
      .withToken(token)
      .request({ names: ["default"] })
      .end();
    expect(world.ca.requests).toHaveLength(2);
  });

  test.each([
    { status: 403, code: "identity-not-entitled", ends: status.PERMISSION_DENIED },
    { status: 403, code: "node-not-entitled", ends: status.PERMISSION_DENIED },
    { status: 401, code: "token-not-accepted", ends: status.UNAUTHENTICATED },
    { status: 400, code: "csr-not-allowed", ends: status.PERMISSION_DENIED },
    { status: 401, code: "of-tomorrow", ends: status.UNAUTHENTICATED },
  ])("a CA that says $status $code ends the stream with $ends and its request id", async ({ ends, ...script }) => {
    world.ca.script = script;
    const ended = await world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] })
      .end();
    expect(ended.code).toBe(ends);
    expect(ended.details).toContain(`title of ${script.code} (request request-1)`);
  });
});

describe("keys", () => {
  test("two streams with one token share one CSR and one key", async () => {
    const token = world.ca.token(makePod());
    const client = world.client();
    const streams = [client, world.client()].map((c) => c.withToken(token).request({ names: ["default"] }));
    const [a, b] = await Promise.all(streams.map((stream) => stream.next()));
    expect(a?.secrets).toEqual(b?.secrets);
    expect(world.ca.requests).toHaveLength(1);
  });

  test("two pods with one service account have two keys", async () => {
    const client = world.client();
    const [a, b] = await Promise.all(
      [makePod("sleep"), makePod("sleep")].map((pod) =>
        client
          .withToken(world.ca.token(pod))
          .request({ names: ["default"] })
          .next(),
      ),
    );
    expect(a?.secrets[0]?.key).not.toBe(b?.secrets[0]?.key);
  });

  test("another token of the same pod brings a new certificate to every stream of the pod", async () => {
    const pod = makePod();
    const client = world.client();
    const old = client.withToken(world.ca.token(pod)).request({ names: ["default"] });
    const first = await old.nextAcked(["default"]);
    const fresh = await client
      .withToken(world.ca.token(pod))
      .request({ names: ["default"] })
      .next();
    const pushed = await old.next();
    expect(pushed.secrets).toEqual(fresh.secrets);
    expect(serialOf(pushed)).not.toBe(serialOf(first));
    expect(await world.workloads()).toMatchObject([{ issuedCount: 2, streams: 2 }]);
  });
});
