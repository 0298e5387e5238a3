import { join } from "node:path";
import { SignetError } from "@signet/shared/errors";

/** A volume of one pod on this node. */
export interface VolumeTarget {
  /** The directory that the kubelet mounts into the pod's containers. */
  readonly path: string;
  /** From the path, so it is the kubelet's word. */
  readonly podUid: string;
  readonly volume: string;
}

/** What the kubelet calls the directories of CSI volumes (kubernetes `pkg/volume/csi`). */
export const csiVolumes = "volumes/kubernetes.io~csi";

// Pod uids are UUIDs, those of static pods hashes. Neither they nor volume names have room for "..".
const uid = /^[0-9A-Za-z][0-9A-Za-z-]{0,127}$/;
const name = /^[0-9a-z](?:[0-9a-z.-]{0,251}[0-9a-z])?$/;

export function targetOf(kubeletDir: string, podUid: string, volume: string): VolumeTarget | undefined {
  if (!uid.test(podUid) || !name.test(volume)) return undefined;
  return { path: join(kubeletDir, "pods", podUid, csiVolumes, volume, "mount"), podUid, volume };
}

/**
 * Reads a target path of the kubelet. No other path is ever touched, whoever asks.
 * @throws SignetError `malformed-request`
 */
export function readTarget(path: string, kubeletDir: string): VolumeTarget {
  const pods = `${join(kubeletDir, "pods")}/`;
  const [podUid = "", volumes, kind, volume = ""] = path.startsWith(pods) ? path.slice(pods.length).split("/") : [];
  const target = targetOf(kubeletDir, podUid, volume);
  if (target === undefined || `${volumes}/${kind}` !== csiVolumes || target.path !== path) {
    throw new SignetError(
      "malformed-request",
      `target_path must be ${pods}<pod uid>/${csiVolumes}/<volume>/mount; is --kubelet-dir the kubelet's directory?`,
    );
  }
  return target;
}
