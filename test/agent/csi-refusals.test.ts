import { existsSync, readdirSync, symlinkSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Pod } from "../support/scripted-ca.ts";
import { aPod, CsiWorld } from "./csi-world.ts";
import type { Kubelet, PublishParts } from "./kubelet.ts";
import type { World } from "./world.ts";

let csi: CsiWorld;
let world: World;
let kubelet: Kubelet;

beforeEach(async () => {
  csi = await CsiWorld.start();
  ({ world, kubelet } = csi);
});
afterEach(() => csi.stop());

describe("a volume is refused, with a reason that its owner can use", () => {
  const context = (request: PublishParts, changes: Record<string, string | undefined>): PublishParts => ({
    ...request,
    volumeContext: Object.fromEntries(
      Object.entries({ ...request.volumeContext, ...changes }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  });
  const blockDevice = ({ volumeCapability: _, ...rest }: PublishParts): PublishParts =>
    ({ ...rest, volumeCapability: { accessType: { case: "block", value: {} } } }) as PublishParts;
  const tokens = "csi.storage.k8s.io/serviceAccount.tokens";
  const cases: {
    what: string;
    change: (request: PublishParts, pod: Pod) => PublishParts;
    code?: number;
    says: RegExp;
  }[] = [
    { what: "a volume that is not read-only", change: (r) => ({ ...r, readonly: false }), says: /must be read-only/ },
    {
      what: "a persistent volume",
      change: (r) => context(r, { "csi.storage.k8s.io/ephemeral": undefined }),
      says: /only ephemeral inline volumes/,
    },
    {
      what: "a block device",
      change: (r) => blockDevice(r),
      says: /block device/,
    },
    { what: "no volume id", change: (r) => ({ ...r, volumeId: "" }), says: /volume_id/ },
    { what: "attributes of the author", change: (r) => context(r, { ttl: "1h" }), says: /volumeAttributes: "ttl"/ },
    {
      what: "no token",
      change: (r) => context(r, { [tokens]: undefined }),
      code: status.FAILED_PRECONDITION,
      says: /tokenRequests/,
    },
    { what: "tokens that are no JSON", change: (r) => context(r, { [tokens]: "{" }), says: /not JSON/ },
    {
      what: "tokens of two audiences",
      change: (r, pod) => {
        const token = world.ca.token(pod);
        return context(r, { [tokens]: JSON.stringify({ a: { token }, b: { token } }) });
      },
      says: /one audience; 2 tokens/,
    },
    {
      what: "another pod's token",
      change: (r) => context(r, { [tokens]: JSON.stringify({ a: { token: world.ca.token(aPod()) } }) }),
      says: /another pod's/,
    },
    {
      what: "another pod's token, where the kubelet tells nothing of the pod",
      change: (r) => ({
        ...r,
        volumeContext: {
          "csi.storage.k8s.io/ephemeral": "true",
          [tokens]: JSON.stringify({ a: { token: world.ca.token(aPod()) } }),
        },
      }),
      says: /another pod's/,
    },
    {
      what: "a context that names another account",
      change: (r) => context(r, { "csi.storage.k8s.io/serviceAccount.name": "admin" }),
      says: /another pod's/,
    },
    {
      what: "an expired token",
      change: (r, pod) =>
        context(r, { [tokens]: JSON.stringify({ a: { token: world.ca.token(pod, { lifetime: -1 }) } }) }),
      code: status.UNAVAILABLE,
      says: /expired/,
    },
    { what: "a path outside", change: (r) => ({ ...r, targetPath: "/etc/mount" }), says: /target_path must be/ },
    {
      what: "a path below a volume",
      change: (r) => ({ ...r, targetPath: `${r.targetPath}/deeper` }),
      says: /target_path must be/,
    },
    {
      what: "a path that leads out",
      change: (r) => ({ ...r, targetPath: r.targetPath?.replace("identity", "..") ?? "" }),
      says: /target_path must be/,
    },
  ];
  test.each(cases)("$what", async ({ change, code = status.INVALID_ARGUMENT, says }) => {
    const pod = aPod();
    const token = world.ca.token(pod);
    const volume = { pod, token };
    kubelet.prepare(volume);
    const error = await kubelet.publishRaw(change(kubelet.request(volume), pod)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, details: expect.stringMatching(says) });
    expect(String((error as Error).message)).not.toMatch(/eyJ/);
    expect(existsSync(kubelet.target({ pod }))).toBe(false);
  });

  test("a directory that cannot be made", async () => {
    const pod = aPod();
    kubelet.prepare({ pod });
    symlinkSync(world.folder, kubelet.target({ pod }));
    await expect(kubelet.publish({ pod, token: world.ca.token(pod) })).rejects.toMatchObject({ code: status.INTERNAL });
    expect(readdirSync(world.folder)).not.toContain("socket");
  });
});
