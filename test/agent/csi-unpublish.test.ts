import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Pod } from "../support/scripted-ca.ts";
import { aPod, CsiWorld } from "./csi-world.ts";
import type { Kubelet } from "./kubelet.ts";
import type { World } from "./world.ts";

let csi: CsiWorld;
let world: World;
let kubelet: Kubelet;
const inside = (pod: Pod, name?: string) => csi.inside(pod, name);

beforeEach(async () => {
  csi = await CsiWorld.start();
  ({ world, kubelet } = csi);
});
afterEach(() => csi.stop());

describe("unpublished", () => {
  test("nothing of the pod is left: no directory, no stream, no key; and again, and for what never was", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    const stream = inside(pod)
      .stream({})
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    await kubelet.unpublish({ pod });
    expect((await stream.end()).code).toBe(status.UNAVAILABLE);
    expect(existsSync(kubelet.target({ pod }))).toBe(false);
    expect(await world.workloads()).toEqual([]);
    await kubelet.unpublish({ pod });
    await kubelet.unpublish({ pod: aPod() });
  });

  test("keeps the pod's key while the pod has another volume", async () => {
    const pod = aPod();
    const token = world.ca.token(pod);
    for (const name of ["one", "two"]) await kubelet.publish({ pod, token, name });
    await inside(pod, "two")
      .stream({})
      .request({ names: ["default"] })
      .next();
    await kubelet.unpublish({ pod, name: "one" });
    expect(await world.workloads()).toHaveLength(1);
    await kubelet.unpublish({ pod, name: "two" });
    expect(await world.workloads()).toEqual([]);
  });

  test("removes whatever stands there, and nothing that it points to", async () => {
    const pod = aPod();
    await kubelet.publish({ pod, token: world.ca.token(pod) });
    const outside = join(world.folder, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "file"), "stays");
    symlinkSync(outside, join(kubelet.target({ pod }), "link"));
    unlinkSync(kubelet.socket({ pod }));
    symlinkSync(join(outside, "file"), kubelet.socket({ pod }));
    mkdirSync(join(kubelet.target({ pod }), "a/b"), { recursive: true });
    await kubelet.unpublish({ pod });
    expect(existsSync(kubelet.target({ pod }))).toBe(false);
    expect(readdirSync(outside)).toEqual(["file"]);
  });

  test("and published in one breath, many times: each step has its turn, and nothing is left", async () => {
    const pod = aPod();
    const volume = { pod, token: world.ca.token(pod) };
    await kubelet.publish(volume);
    // A dead socket that the next agent does not look after by itself: finding out that it is dead takes a moment.
    await world.agent.stop();
    rmSync(join(kubelet.volumeDirectory({ pod }), "vol_data.json"));
    await world.startAgent(kubelet.settings);
    const results = await kubelet.repeatAtOnce(volume, 20);
    expect(results.filter(({ status: how }) => how !== "fulfilled")).toEqual([]);
    expect(existsSync(kubelet.target({ pod }))).toBe(false);
  });

  test("works for a volume that an earlier agent made and this one never saw published", async () => {
    const pod = aPod();
    kubelet.prepare({ pod });
    mkdirSync(kubelet.target({ pod }));
    await kubelet.unpublish({ pod });
    expect(existsSync(kubelet.target({ pod }))).toBe(false);
  });

  test.each(["/etc", "/var/lib/kubelet/pods/../../../etc/mount", ""])("is refused for the path %o", async (path) => {
    await expect(kubelet.unpublishPath(path)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});
