/** The chart and what is made from it, held against a real API server, the programs' own settings, and each other. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Config, parseConfig } from "@signet/ca/config";
import { settings } from "@signet/node-agent/settings";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { chart, helm, makeBase, readBase, renderChart, namespace as system } from "../tools/manifests.ts";
import { apply, kubectl, requireThrowAwayCluster } from "./kubectl.ts";
import { dryRun, find, type Manifest, type PodSpec, parseManifests } from "./manifests/rendered.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";

const namespace = "signet-manifests";
const restricted = "signet-manifests-restricted";
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces(namespace, restricted);
  ours = true;
  await kubectl("label", "namespace", restricted, "pod-security.kubernetes.io/enforce=restricted");
});
afterAll(async () => {
  if (ours) await deleteNamespaces(namespace, restricted);
});

const set = (...values: string[]) => values.flatMap((value) => ["--set", value]);
const render = async (...more: string[]) => parseManifests(await renderChart(...more));

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const elsewhere = set("ca.enabled=false", "agent.caUrl=https://ca.example.com:8443");
const toldMore = ["--values", join(import.meta.dirname, "manifests/ca-values.yaml")];
const valueSets = {
  "as it comes": [],
  "with a CA that is told more": toldMore,
  "with a CA elsewhere": elsewhere,
  "with a CA elsewhere at two URLs": set(
    "ca.enabled=false",
    "agent.caUrl=https://a.example.com:8443\\,https://b.example.com",
  ),
  "with a CA elsewhere that is pinned": [...elsewhere, "--set", `agent.caCert=${pem}`],
  "without the shared socket": set("agent.sharedSocket.enabled=false"),
  "without the CSI driver": set("agent.csi.enabled=false"),
  "with all that is off": set(
    ...["resourceQuota.enabled=true", "monitoring.enabled=true", "monitoring.labels.release=prometheus"],
    ...[
      "agent.ttl=30m",
      "agent.env[0].name=SIGNET_SVID_NAME",
      "agent.env[0].value=own",
      "agent.podLabels.a=b",
      "agent.seLinuxOptions.type=spc_t",
    ],
    ...["agent.podAnnotations.a=b", "agent.imagePullSecrets[0].name=pull", "ca.imagePullSecrets[0].name=pull"],
    ...[
      "agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=a",
    ],
    ...[
      "agent.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists",
    ],
    ...[
      "ca.tlsNames={ca.example.com}",
      "ca.tolerations[0].operator=Exists",
      "ca.podLabels.a=b",
      "ca.podAnnotations.a=b",
    ],
    ...[
      "ca.issuers[0].issuer=in-cluster",
      "ca.issuers[1].issuer=https://oidc.example.com",
      "ca.issuers[1].keys=discovery",
    ],
  ),
  "with everything off": set(
    ...["networkPolicy.enabled=false", "ca.podDisruptionBudget.enabled=false", "ca.priorityClassName="],
    ...["agent.priorityClassName=", "agent.updateStrategy.type=OnDelete", "agent.updateStrategy.rollingUpdate=null"],
  ),
};
const renderings = Object.entries(valueSets).map(([what, values]) => ({ what, values }));

describe("the chart", () => {
  it("passes helm's own checks", async () => {
    expect(await helm("lint", "--strict", chart)).toContain("1 chart(s) linted, 0 chart(s) failed");
  });

  it.each(renderings)("$what is what the API server knows", async ({ values }) => {
    const manifests = await render(...values);
    expect(manifests.map(({ kind }) => kind)).toContain("DaemonSet");
    expect(await dryRun(manifests, namespace)).toBe("");
  });

  it("is refused by the API server with a field that it does not know", async () => {
    const agent = find(await render(), "ServiceAccount", "signet-node-agent");
    await expect(dryRun([{ ...agent, ...{ automount: false } }], namespace)).rejects.toThrow("automount");
  });

  it.each(renderings)("$what sets only what the agent knows", async ({ values }) => {
    const known = Object.values(settings).map(({ env }) => env);
    const given = podOf(await render(...values), "DaemonSet", "signet-node-agent").containers[0]?.env ?? [];
    expect(given.length).toBeGreaterThan(4);
    expect(given.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
  });

  it("configures the CA with what it accepts", async () => {
    const manifests = await render(...valueSets["with all that is off"]);
    expect(configOf(manifests)).toMatchObject({
      trustDomain: "cluster.local",
      authority: { store: `kubernetes:${system}/signet-authority` },
      issuers: [
        { issuer: "in-cluster", audiences: ["signet-ca"] },
        { issuer: "https://oidc.example.com", audiences: ["signet-ca"], keys: "discovery" },
      ],
      nodeBinding: { agents: [`${system}/signet-node-agent`] },
    });
  });

  it("hands further members of the CA's configuration on as they are", async () => {
    const config = configOf(await render(...toldMore));
    expect(config).toMatchObject({
      authority: { store: `kubernetes:${system}/signet-authority` },
      issuers: [{ issuer: "in-cluster" }, { issuer: "https://old.example.com", keys: "file:/etc/issuers/old.json" }],
      trustDomains: [{ name: "edge.example.com" }, { name: "other.example.com" }],
      nodeBinding: { agents: [`${system}/signet-node-agent`, "elsewhere/signet-node-agent"] },
      policy: {
        default: "deny",
        rules: [{ name: "no-admins" }, { name: "teams", maxTtl: 43_200 }],
        denyLists: ["file:/etc/deny-list/deny.json", "https://security.example.com/deny.json?a=1&b=2"],
      },
      rateLimits: { perNode: { certificates: 600, per: 60 }, perIssuer: { certificates: 1_000_000, per: 3_600 } },
      audit: { sinks: [{ type: "log" }, { type: "https", authorization: "env:AUDIT_AUTHORIZATION", required: true }] },
    });
    expect(configOf(await render(...set("ca.config.nodeBinding=off"))).nodeBinding).toBe("off");
    const misspelt = await render(...toldMore, ...set("ca.config.policy.defualt=deny"));
    expect(() => configOf(misspelt)).toThrow("policy.defualt");
  });

  it("gives the CA variables and volumes, which it can only read", async () => {
    const manifests = await render(...toldMore);
    const { containers, volumes } = podOf(manifests, "Deployment", "signet-ca");
    const [{ env, volumeMounts } = { env: [], volumeMounts: [] }] = containers;
    expect(env).toEqual([
      { name: "AUDIT_AUTHORIZATION", valueFrom: { secretKeyRef: { name: "audit", key: "authorization" } } },
    ]);
    expect(volumeMounts).toEqual([
      { name: "config", mountPath: "/etc/signet", readOnly: true },
      { name: "deny-list", mountPath: "/etc/deny-list", readOnly: true },
      { name: "issuers", mountPath: "/etc/issuers", readOnly: true },
    ]);
    expect(volumes).toMatchObject([{ name: "config" }, { name: "deny-list" }, { name: "issuers" }]);
  });

  it("lets the CA out on the port of https, to audit sinks and deny lists", async () => {
    const { egress } = find(await render(...toldMore), "NetworkPolicy", "signet-ca").spec ?? {};
    expect(egress).toContainEqual({ ports: expect.arrayContaining([{ protocol: "TCP", port: 443 }]) });
  });

  it("starts new pods of the CA for a new configuration, and only for that", async () => {
    const hash = async (...values: string[]) => {
      const ca = find(await render(...set(...values)), "Deployment", "signet-ca");
      return JSON.stringify(ca.spec).match(/"signet.dev\/config-hash":"(\w+)"/)?.[1];
    };
    const before = await hash();
    expect(before).toMatch(/^[0-9a-f]{16}$/);
    expect(await hash("ca.replicas=3")).toBe(before);
    expect(await hash("ca.leaf.maxTtl=12h")).not.toBe(before);
    expect(await hash("ca.config.policy.default=deny")).not.toBe(before);
  });

  it("has tokens brought in secrets where the API server knows that", async () => {
    const driver = async (version: string) =>
      find(await render("--kube-version", version), "CSIDriver", "csi.signet.dev").spec?.serviceAccountTokenInSecrets;
    expect(await driver("1.34.9")).toBeUndefined();
    expect(await driver("1.35.0")).toBe(true);
    expect(await driver("v1.36.2-gke.100")).toBe(true);
  });
});

describe("rights", () => {
  it("of the CA are these verbs, and there are no others", async () => {
    const manifests = await render(...valueSets["with all that is off"]);
    const roles = manifests.filter(({ rules }) => rules !== undefined);
    expect(roles.map(({ kind, metadata, rules }) => ({ kind, name: metadata.name, rules }))).toEqual([
      {
        kind: "Role",
        name: "signet-ca",
        rules: [
          { apiGroups: [""], resources: ["secrets", "configmaps"], verbs: ["create"] },
          { apiGroups: [""], resources: ["secrets"], resourceNames: ["signet-authority"], verbs: ["get"] },
          { apiGroups: [""], resources: ["configmaps"], resourceNames: ["signet-ca-roots"], verbs: ["get", "patch"] },
        ],
      },
    ]);
  });

  it("of the CA are those to the authorities of its further trust domains in its namespace, too", async () => {
    const { rules } = find(await render(...toldMore), "Role", "signet-ca");
    const secrets = { apiGroups: [""], resources: ["secrets"], verbs: ["get"] };
    expect(rules).toContainEqual({ ...secrets, resourceNames: ["signet-authority", "edge-authority"] });
  });

  it("are none without the CA, and the agent has no token for the API server", async () => {
    const manifests = await render(...elsewhere);
    expect(manifests.filter(({ kind }) => /Role|Binding/.test(kind))).toEqual([]);
    expect(podOf(manifests, "DaemonSet", "signet-node-agent").automountServiceAccountToken).toBe(false);
  });
});

describe("pods", () => {
  it("of the CA are admitted where pods are restricted", async () => {
    const spec = podOf(await render(...toldMore), "Deployment", "signet-ca");
    await apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "signet-ca", namespace: restricted } });
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "ca", namespace: restricted }, spec } as Manifest;
    expect(await dryRun([pod], restricted)).toBe("");
  });

  it.each([
    { kind: "DaemonSet", name: "signet-node-agent" },
    { kind: "Deployment", name: "signet-ca" },
  ])("of $name have no privilege and cannot write into their image", async ({ kind, name }) => {
    const { containers, initContainers = [], ...spec } = podOf(await render(), kind, name);
    for (const { securityContext } of [...containers, ...initContainers]) {
      expect(securityContext).toMatchObject({
        privileged: false,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(securityContext?.capabilities).not.toHaveProperty("add");
    }
    for (const door of ["hostNetwork", "hostPID", "hostIPC"]) expect(spec).not.toHaveProperty(door);
    expect(spec.enableServiceLinks).toBe(false);
  });
});

describe("the base", () => {
  it("is as the chart makes it (else: npm run manifests)", async () => {
    expect(await readBase()).toEqual(await makeBase());
  });
});

describe.each(["base", "cleanup", "policies/validating-admission-policy"])("kubectl apply -k %s", (folder) => {
  it("is what the API server knows", async () => {
    const manifests = parseManifests(await kubectl("kustomize", `${chart}/../${folder}`));
    expect(manifests.length).toBeGreaterThan(1);
    expect(await dryRun(manifests, namespace)).toBe("");
  });
});

describe("values", () => {
  it("are all in the README", async () => {
    const readme = await readFile(join(chart, "../README.md"), "utf8");
    const values = parse(await readFile(join(chart, "values.yaml"), "utf8")) as Record<string, unknown>;
    const paths = Object.entries(values).flatMap(([group, value]) =>
      typeof value === "object" && value !== null ? Object.keys(value).map((key) => `${group}.${key}`) : [group],
    );
    expect(paths.length).toBeGreaterThan(30);
    expect(paths.filter((path) => !readme.includes(`\`${path}`))).toEqual([]);
  });

  it.each([
    { value: "agnet.ttl=1h", says: "additional properties 'agnet' not allowed" },
    { value: "agent.ttll=1h", says: "at '/agent': additional properties 'ttll' not allowed" },
    { value: "ca.leaf.ttl=1h", says: "at '/ca/leaf': additional properties 'ttl' not allowed" },
    { value: "agent.image.name=x", says: "at '/agent/image': additional properties 'name' not allowed" },
    { value: "agent.csi.name=x", says: "at '/agent/csi': additional properties 'name' not allowed" },
    { value: "ca.podDisruptionBudget.maxUnavailable=1", says: "additional properties 'maxUnavailable' not allowed" },
    { value: "networkPolicy.on=true", says: "at '/networkPolicy': additional properties 'on' not allowed" },
    { value: "ca.issuers[0].name=x", says: "at '/ca/issuers/0'" },
    { value: "ca.issuers[0].issuer=https://oidc.example.com", says: "missing property 'keys'" },
    { value: "ca.issuers[0].keys=discovery,ca.issuers[0].issuer=in-cluster", says: "/ca/issuers/0/keys" },
    { value: "ca.config.polici.default=deny", says: "at '/ca/config': additional properties 'polici' not allowed" },
    { value: "ca.config.authority.store=file:a", says: "at '/ca/config': additional properties 'authority' not" },
    { value: "ca.config.leaf.maxTtl=1h", says: "at '/ca/config': additional properties 'leaf' not allowed" },
    { value: "ca.config.policy=deny", says: "at '/ca/config/policy': got string, want object" },
    { value: "ca.env[0].value=x", says: "at '/ca/env/0': missing property 'name'" },
    { value: "ca.volumes[0].name=a,ca.volumes[0].hostPath.path=/", says: "additional properties 'hostPath' not" },
    { value: "ca.volumes[0].name=config,ca.volumes[0].secret.secretName=a", says: "a volume called config" },
    { value: "ca.volumeMounts[0].readOnly=false", says: "at '/ca/volumeMounts/0/readOnly'" },
    { value: "ca.volumeMounts[0].subPath=a", says: "additional properties 'subPath' not allowed" },
    { value: "ca.volumeMounts[0].name=a,ca.volumeMounts[0].mountPath=/etc/signet/a", says: "take another directory" },
    { value: "agent.ttl=soon", says: "at '/agent/ttl': 'soon' does not match" },
    { value: "ca.leaf.maxTtl=", says: "/ca/leaf/maxTtl" },
    { value: "agent.logLevel=loud", says: "/agent/logLevel" },
    { value: "agent.kubeletDir=kubelet", says: "/agent/kubeletDir" },
    { value: "agent.csi.tokenExpirationSeconds=60", says: "at '/agent/csi/tokenExpirationSeconds': minimum: got 60" },
    { value: "ca.replicas=none", says: "at '/ca/replicas': got string, want integer" },
    { value: "trustDomain=Example.com", says: "/trustDomain" },
    { value: "agent.caUrl=http://ca.example.com,ca.enabled=false", says: "/agent/caUrl" },
    { value: "agent.caCert=/etc/ca.pem,ca.enabled=false,agent.caUrl=https://ca.example.com", says: "/agent/caCert" },
    { value: "ca.enabled=false", says: "agent.caUrl: missing" },
    { value: "agent.caUrl=https://ca.example.com", says: "set ca.enabled=false" },
    { value: "agent.sharedSocket.enabled=false,agent.csi.enabled=false", says: "nobody could ask" },
    { value: "agent.updateStrategy.rollingUpdate.maxSurge=1", says: "two agents cannot serve one socket" },
  ])("$value is refused by name", async ({ value, says }) => {
    await expect(renderChart(...set(value))).rejects.toThrow(says);
  });
});

/** What the CA makes of its configuration. @throws SignetError `config-invalid` */
function configOf(manifests: readonly Manifest[]): Config {
  return parseConfig(find(manifests, "ConfigMap", "signet-ca").data?.["ca.jsonc"] ?? "", "ca.jsonc");
}

function podOf(manifests: readonly Manifest[], kind: string, name: string): PodSpec {
  const spec = find(manifests, kind, name).spec?.template?.spec;
  if (spec === undefined) throw new Error(`${kind} ${name} has no pods`);
  return spec;
}
