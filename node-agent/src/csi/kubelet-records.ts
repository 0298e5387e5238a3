import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { driverName } from "./names.ts";
import { csiVolumes, targetOf, type VolumeTarget } from "./target.ts";

// The kubelet's record of a CSI volume, beside its directory (kubernetes `pkg/volume/csi`, saveVolumeData).
const record = v.object({ driverName: v.string() });

/** The volumes of this driver that the kubelet has on this node, as far as their directories are made. */
export function readVolumes(kubeletDir: string): VolumeTarget[] {
  const found: VolumeTarget[] = [];
  for (const podUid of list(join(kubeletDir, "pods"))) {
    const volumes = join(kubeletDir, "pods", podUid, csiVolumes);
    for (const volume of list(volumes)) {
      const target = targetOf(kubeletDir, podUid, volume);
      if (target === undefined || driverOf(join(volumes, volume, "vol_data.json")) !== driverName) continue;
      // Without its directory it was never published, or is unpublished already; the kubelet says what is next.
      if (lstatSync(target.path, { throwIfNoEntry: false })?.isDirectory() === true) found.push(target);
    }
  }
  return found;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function driverOf(file: string): string | undefined {
  try {
    const result = v.safeParse(record, JSON.parse(readFileSync(file, "utf8")));
    return result.success ? result.output.driverName : undefined;
  } catch {
    return undefined;
  }
}
