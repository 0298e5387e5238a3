import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeForeignIdentity, requestIdentity } from "../support/certificates.ts";
import { spiffeIdOf } from "../support/envoy-config.ts";
import { call } from "../support/load.ts";
import type { Mesh } from "../support/mesh.ts";
import { callTls } from "../support/stranger.ts";
import { World } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await World.create({ agentArgs: ["--validator", "spiffe"] });
});
afterAll(() => world?.close());

describe("Envoys whose agent gives bundles for the SPIFFE validator", () => {
  let mesh: Mesh;
  const port = () => mesh.inboundPorts.foo;

  beforeAll(async () => {
    mesh = await world.addMesh("spiffe");
  });

  it("reach each other through mutual TLS", async () => {
    for (const pair of mesh.pairs) expect(await call(pair)).toEqual({ status: 200, caller: pair.from.spiffeId });
  });

  it("hold the roots under their trust domain and no others", async () => {
    for (const { envoy } of mesh.workloads) {
      const context = await envoy.admin.validationContext();
      expect(context?.trusted_ca).toBeUndefined();
      expect(context?.custom_validator_config).toMatchObject({
        name: "envoy.tls.cert_validator.spiffe",
        typed_config: { trust_domains: [{ name: "cluster.local" }] },
      });
    }
  });

  it("answer a client with an identity of ours that may call", async () => {
    const identity = await requestIdentity(world.caUrl, await world.tokensFor("foo", "sleep"));
    expect((await callTls(port(), identity)).status).toBe(200);
  });

  it("refuse a client with the right name from another CA", async () => {
    const { status, fault } = await callTls(port(), await makeForeignIdentity(spiffeIdOf("foo", "sleep")));
    expect(status).toBeUndefined();
    expect(fault).toMatch(/ALERT/);
  });

  it("refuse a client of another trust domain", async () => {
    const { status, fault } = await callTls(
      port(),
      await makeForeignIdentity("spiffe://other.example/ns/foo/sa/sleep"),
    );
    expect(status).toBeUndefined();
    expect(fault).toMatch(/ALERT/);
  });

  it("refuse another identity of our own CA", async () => {
    const visitor = await requestIdentity(world.caUrl, await world.tokensFor("foo", "visitor"));
    const { status, fault } = await callTls(port(), visitor);
    expect(status).toBeUndefined();
    expect(fault).toMatch(/ALERT/);
  });
});

it.each([
  { label: "signet", nodeMetadata: { signet_validator: "trusted-ca" } },
  { label: "spire", nodeMetadata: { disable_spiffe_cert_validation: true } },
])(
  "an Envoy that asks for plain roots in the way of $label gets them, and they work",
  async ({ label, nodeMetadata }) => {
    const mesh = await world.addMesh(label, { nodeMetadata });
    for (const pair of mesh.pairs) expect((await call(pair)).status).toBe(200);
    for (const { envoy } of mesh.workloads) {
      const context = await envoy.admin.validationContext();
      expect(context?.trusted_ca).toBeDefined();
      expect(context?.custom_validator_config).toBeUndefined();
    }
    await mesh.stop();
  },
);
