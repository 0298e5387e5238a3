/** The other way to install: by helm, upgraded and taken away again. kustomize's is the walk-through's. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { chart, helm, namespace } from "../tools/manifests.ts";
import { install, uninstall } from "./install.ts";
import { kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";

const agent = "daemonset/signet-node-agent";
const roots = () => kubectl("get", "configmap", "signet-ca-roots", "-n", namespace, "-o", "jsonpath={.data}");
const rolledOut = (what: string) => kubectl("rollout", "status", what, "-n", namespace, "--timeout=180s");

beforeAll(async () => {
  await requireThrowAwayCluster();
  await install("helm", { set: ["ca.replicas=1", "resourceQuota.enabled=true"] });
});
afterAll(uninstall);

describe("a release", () => {
  it("has an authority that its CA tells of", async () => {
    const status = ["signet-ca", "authority", "status", "--config", "/etc/signet/ca.jsonc"];
    expect(await kubectl("exec", "-n", namespace, "deploy/signet-ca", "--", ...status)).toMatch(/issuing-\d+ +active/);
  });

  it("starts new pods of the CA alone for another configuration of the CA, under the same roots", async () => {
    const agents = () => kubectl("get", "pods", "-n", namespace, "-l", "app=signet-node-agent", "-o", "name");
    const before = { roots: await roots(), agents: await agents() };
    expect(before.roots).toContain("BEGIN CERTIFICATE");
    const hash = "-o=jsonpath={.spec.template.metadata.annotations.signet\\.dev/config-hash}";
    const configured = () => kubectl("get", "deploy", "signet-ca", "-n", namespace, hash);
    const old = await configured();
    await helm("upgrade", "signet", chart, "--namespace", namespace, "--reuse-values", "--set", "ca.leaf.maxTtl=12h");
    await rolledOut("deployment/signet-ca");
    expect(await configured()).not.toBe(old);
    expect({ roots: await roots(), agents: await agents() }).toEqual(before);
  });

  it("takes the node's directory away from an agent that is to serve single pods only", async () => {
    await helm(
      ...["upgrade", "signet", chart, "--namespace", namespace, "--reuse-values"],
      ...["--set", "agent.sharedSocket.enabled=false"],
    );
    await rolledOut(agent);
    const { spec } = await kubectlJson<{ spec: { template: { spec: { volumes: { name: string }[] } } } }>(
      ...["get", agent, "-n", namespace],
    );
    expect(spec.template.spec.volumes.map(({ name }) => name)).not.toContain("sds");
    expect(await kubectl("logs", agent, "-n", namespace)).not.toContain("uds_path");
  });

  it("leaves in its namespace only what the CA made", async () => {
    await helm("uninstall", "signet", "--namespace", namespace, "--wait");
    const kinds = (await kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name"))
      .split("\n")
      .filter((kind) => kind !== "" && !kind.startsWith("events") && !kind.startsWith("pods.metrics"));
    const made = ["configmap/signet-ca-roots", "secret/signet-authority", "secret/signet-authority-root-key"];
    // Pods on their way out are not waited for by helm.
    await until("the rest to be gone", async () => {
      const left = await kubectl("get", kinds.join(","), "-n", namespace, "-o", "name", "--ignore-not-found");
      const ownedByKubernetes = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
      const names = left.split("\n").filter((name) => name !== "" && !ownedByKubernetes.includes(name));
      return names.sort().join() === made.join() || Promise.reject(new Error(names.join(", ")));
    });
    const driver = await kubectl("get", "csidriver", "csi.signet.dev", "-o", "name", "--ignore-not-found");
    expect(driver).toBe("");
  });

  it("is followed by another one under the same authority", async () => {
    const before = await roots();
    await helm("install", "signet", chart, "--namespace", namespace);
    await rolledOut("deployment/signet-ca");
    await rolledOut(agent);
    expect(await roots()).toBe(before);
  });
});
