import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeForeignIdentity, requestIdentity } from "../support/certificates.ts";
import { spiffeIdOf, tokenHeaders } from "../support/envoy-config.ts";
import { call } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { callPlain, callTls } from "../support/stranger.ts";
import { World } from "./world.ts";

let world: World;
let mesh: Mesh;

beforeAll(async () => {
  world = await World.create();
  mesh = await world.addMesh("main");
});
afterAll(() => world?.close());

describe("four Envoys with their identity from the agent", () => {
  it("reach each other through mutual TLS, each side checking the other's SPIFFE ID", async () => {
    const lines = [];
    for (const pair of mesh.pairs) {
      const { status, caller } = await call(pair);
      lines.push(`${pair.from.name} to ${pair.to.name}: ${status}`);
      expect(caller).toBe(pair.from.spiffeId);
    }
    expect(lines).toEqual([
      "sleep.foo to httpbin.foo: 200",
      "sleep.foo to httpbin.bar: 200",
      "sleep.bar to httpbin.foo: 200",
      "sleep.bar to httpbin.bar: 200",
    ]);
  });

  it("show the identity that the agent lists, and one root", async () => {
    const listed = await world.agent.workloads();
    for (const { envoy, pod, spiffeId } of mesh.workloads) {
      const shown = await envoy.admin.certificate();
      const said = listed.find(({ podUid }) => podUid === pod.pod.uid);
      expect(shown).toEqual({
        spiffeId,
        serialNumber: said?.serialNumber,
        notAfter: new Date(said?.notAfter ?? 0),
      });
      expect(said).toMatchObject({ spiffeId, podName: pod.pod.name });
      expect(await envoy.admin.rootSerials()).toHaveLength(1);
    }
    const serials = new Set(listed.map(({ serialNumber }) => serialNumber));
    expect(serials.size).toBe(listed.length);
  });

  it.each(tokenHeaders)("get it with the token in the header %s", async (tokenHeader) => {
    const other = await world.addMesh(tokenHeader, { tokenHeader });
    for (const pair of other.pairs) expect(await call(pair)).toEqual({ status: 200, caller: pair.from.spiffeId });
    await other.stop();
  });
});

describe("httpbin's Envoy", () => {
  const sleep = spiffeIdOf("foo", "sleep");
  const port = () => mesh.inboundPorts.foo;

  it("answers a TLS client with an identity of sleep", async () => {
    const identity = await requestIdentity(world.caUrl, await world.tokensFor("foo", "sleep"));
    expect((await callTls(port(), identity)).status).toBe(200);
  });

  it("gives no answer to a client that speaks plaintext", async () => {
    const before = mesh.backend.requests();
    expect((await callPlain(port())).status).toBeUndefined();
    expect(mesh.backend.requests()).toBe(before);
  });

  it("gives no answer to a client without a certificate", async () => {
    const { status, fault } = await callTls(port());
    expect(status).toBeUndefined();
    expect(fault).toBe("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
  });

  it("gives no answer to a client with the right name from another CA", async () => {
    const { status, fault } = await callTls(port(), await makeForeignIdentity(sleep));
    expect(status).toBeUndefined();
    expect(fault).toMatch(/ALERT/);
  });

  it("gives no answer to another identity of our own CA", async () => {
    const visitor = await requestIdentity(world.caUrl, await world.tokensFor("foo", "visitor"));
    const { status, fault } = await callTls(port(), visitor);
    expect(status).toBeUndefined();
    expect(fault).toMatch(/ALERT/);
  });
});

describe("sleep's Envoy", () => {
  it("sends nothing to an httpbin that has another SPIFFE ID than expected", async () => {
    const swapped = await world.addMesh("swapped", {
      expectedPeer: (namespace) => spiffeIdOf(namespace === "foo" ? "bar" : "foo", "httpbin"),
    });
    for (const pair of swapped.pairs) {
      expect((await call(pair)).status).toBe(503);
      expect(await pair.from.envoy.admin.stat(`cluster.${pair.to.name}.ssl.fail_verify_san`)).toBeGreaterThan(0);
    }
    expect(swapped.backend.requests()).toBe(0);
    await swapped.stop();
  });
});
