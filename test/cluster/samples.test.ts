import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runToEnd } from "../support/processes.ts";
import { repoRoot } from "../support/repo.ts";
import { install, uninstall } from "./install.ts";
import { kubectl, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";
import { shell } from "./shell.ts";
import { fourRequests, fourTimes200 } from "./walkthrough/names.ts";

const standards = ["restricted", "baseline", "privileged"] as const;
type Standard = (typeof standards)[number];

const namespaceOf = (standard: Standard) => `samples-${standard}`;
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces(...standards.map(namespaceOf));
  ours = true;
  for (const standard of standards) {
    // Warnings are how the API server tells that a Deployment's pods would be refused later.
    const labels = ["enforce", "warn"].map((mode) => `pod-security.kubernetes.io/${mode}=${standard}`);
    await kubectl("label", "namespace", namespaceOf(standard), ...labels);
  }
});
afterAll(async () => {
  if (ours) await deleteNamespaces(...standards.map(namespaceOf));
});

/** What the API server says to the sample, which it checks against its own schema and the namespace's standard. */
async function dryRun(file: string, standard: Standard): Promise<{ created: string[]; warnings: string }> {
  const { stdout, stderr } = await runToEnd("kubectl", [
    ...["apply", "-n", namespaceOf(standard), "--dry-run=server", "--validate=strict"],
    ...["-f", join(repoRoot, "infra/kubernetes/samples", file)],
  ]);
  return { created: stdout.trim().split("\n"), warnings: stderr };
}

it.each(["httpbin.yaml", "sleep.yaml", "csi/httpbin.yaml", "csi/sleep.yaml"])(
  "%s is taken without a warning where pods are restricted",
  async (file) => {
    const { created, warnings } = await dryRun(file, "restricted");
    expect(created).toContainEqual(expect.stringContaining("deployment.apps/"));
    expect(warnings).toBe("");
  },
);

it.each(["token/httpbin.yaml", "token/sleep.yaml"])(
  "%s needs a namespace that allows hostPath volumes",
  async (file) => {
    expect((await dryRun(file, "privileged")).warnings).toBe("");
    expect((await dryRun(file, "baseline")).warnings).toContain('hostPath volumes (volume "signet-socket")');
  },
);

// Those of single pods' sockets are in the walk-through.
describe("the samples with the node's socket and a token", () => {
  let made = false;
  beforeAll(async () => {
    await makeNamespaces("foo", "bar");
    made = true;
    await install("kustomize");
  });
  afterAll(async () => {
    if (!made) return;
    await deleteNamespaces("foo", "bar");
    await uninstall();
  });

  it("reach each other", async () => {
    for (const namespace of ["foo", "bar"]) {
      await kubectl("apply", "-n", namespace, "-f", join(repoRoot, "infra/kubernetes/samples/token"));
    }
    for (const namespace of ["foo", "bar"]) {
      await kubectl("wait", "-n", namespace, "--for=condition=Available", "deployment", "--all", "--timeout=120s");
    }
    expect(await shell(fourRequests)).toBe(fourTimes200);
    const volumes = await kubectl(
      "get",
      "pods",
      "-n",
      "foo",
      "-o",
      "jsonpath={.items[*].spec.volumes[*].hostPath.path}",
    );
    expect(volumes).toBe("/var/run/sds /var/run/sds");
  });
});
