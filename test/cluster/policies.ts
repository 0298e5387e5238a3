import { join } from "node:path";
import { until } from "../support/poll.ts";
import { runToEnd } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";
import { kubectl } from "./kubectl.ts";
import { hostPath, mounting, persistentVolume, pod } from "./policies/manifests.ts";

const folder = join(repoRoot, "infra/kubernetes/policies/validating-admission-policy");

const slowly = { every: 500 };

/** One object for each policy that only that policy refuses. */
const refusedBy = {
  "signet-socket-directory": pod(mounting("/var/run/sds")),
  "signet-host-access": pod({ volumes: [hostPath("/tmp")] }),
  "signet-persistent-volumes": persistentVolume({ hostPath: { path: "/var/run/sds" } }),
};

/**
 * Applies the ValidatingAdmissionPolicies and waits until each is enforced. They are for the whole cluster: call
 * removePolicies() when done.
 * @throws Error when the API server does not enforce them in time
 */
export async function applyPolicies(): Promise<void> {
  await kubectl("apply", "-k", folder);
  for (const [policy, manifest] of Object.entries(refusedBy)) {
    await until(`${policy} to be enforced`, async () => (await verdict(manifest)).refusal?.includes(policy), slowly);
  }
}

/** Removes the policies, applied or not, and waits until nothing is refused any more. */
export async function removePolicies(): Promise<void> {
  await kubectl("delete", "-k", folder, "--ignore-not-found");
  for (const [policy, manifest] of Object.entries(refusedBy)) {
    await until(`${policy} to be gone`, async () => (await verdict(manifest)).refusal === undefined, slowly);
  }
}

export interface Verdict {
  /** What the API server says when it refuses the object. */
  readonly refusal?: string;
  /** What kubectl prints beside the result. */
  readonly warnings: string;
}

/** What the API server says to an object, which is not made. */
export async function verdict(manifest: object, namespace = "default", ...more: string[]): Promise<Verdict> {
  try {
    const { stderr } = await runToEnd("kubectl", ["create", "--dry-run=server", "-n", namespace, "-f", "-", ...more], {
      input: JSON.stringify(manifest),
    });
    return { warnings: stderr };
  } catch (error) {
    const refusal = error instanceof Error ? error.message : String(error);
    // Anything else (no connection, a manifest that is no pod) is no verdict.
    if (!refusal.includes("is forbidden: ")) throw error;
    return { refusal, warnings: "" };
  }
}
