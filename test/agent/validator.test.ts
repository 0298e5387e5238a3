import { expect, test } from "vitest";
import { aPod, CsiWorld } from "./csi-world.ts";
import type { SdsStreamClient } from "./sds-client.ts";
import { makePod, World } from "./world.ts";

const spiffe = { validator: { value: "spiffe", source: "test" } };
const plain = { signet_validator: "trusted-ca" };

/** Whether the bundle comes as plain roots; the other form has none. */
async function isPlain(stream: SdsStreamClient, metadata = {}): Promise<boolean> {
  const { secrets } = await stream.request({ names: ["ROOTCA"], metadata }).next();
  expect(secrets).toMatchObject([{ name: "ROOTCA", kind: "validationContext" }]);
  return secrets[0]?.roots !== "";
}

test("on the socket that pods share, the setting counts and the node's metadata before it", async () => {
  const world = await World.start(spiffe);
  const client = world.client();
  const token = world.ca.token(makePod());
  expect(await isPlain(client.withToken(token))).toBe(false);
  expect(await isPlain(client.withToken(token), plain)).toBe(true);
  await world.stop();
});

test("on a pod's own socket too", async () => {
  const csi = await CsiWorld.start(spiffe);
  const pod = aPod();
  await csi.kubelet.publish({ pod, token: csi.world.ca.token(pod) });
  const client = csi.inside(pod);
  expect(await isPlain(client.stream({}))).toBe(false);
  expect(await isPlain(client.stream({}), plain)).toBe(true);
  await csi.stop();
});
