import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { InjectFlags } from "./flags.ts";
import { inject } from "./inject.ts";
import { parseInjectOptions } from "./options.ts";
import { both, podSpec, service, upstreams, web, workload, yaml } from "./test-manifests.ts";

type Flags = Omit<InjectFlags, "file">;
const run = (stream: string, flags: Flags = {}) => inject(stream, parseInjectOptions(flags));

interface Container {
  name: string;
  restartPolicy?: string;
  args: string[];
  ports: { name: string; containerPort: number }[];
  securityContext: object;
  volumeMounts: { mountPath: string; readOnly: boolean }[];
}
interface Pod {
  metadata: { annotations: Record<string, string> };
  spec: {
    containers: Container[];
    initContainers?: Container[];
    volumes: Record<string, unknown>[];
    hostAliases?: { ip: string; hostnames: string[] }[];
    securityContext?: { sysctls?: object[] };
  };
}
interface Listener {
  name: string;
  address: { socket_address: { address: string; port_value: number } };
}

const objects = <T = Record<string, never>>(stream: string) => parseAllDocuments(stream).map((d) => d.toJS() as T);
const sidecarOf = (pod: Pod) =>
  [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(({ name }) => name === "signet-proxy");
function bootstrapOf(pod: Pod) {
  const args = sidecarOf(pod)?.args ?? [];
  const text = args[args.indexOf("--config-yaml") + 1] ?? "";
  return {
    text,
    listeners: (parse(text) as { static_resources: { listeners: Listener[] } }).static_resources.listeners,
  };
}

const podOf = (stream: string, flags?: Flags) => {
  const found = objects<{ kind: string; spec: { template: Pod } }>(run(stream, flags).output).find(
    ({ kind }) => kind === "Deployment",
  );
  if (found === undefined) throw new Error("no Deployment");
  return found.spec.template;
};

describe("each kind of workload", () => {
  const template = { metadata: { labels: { app: "web" }, annotations: upstreams("a.b:1=b/a") }, spec: podSpec };
  test.each([
    { kind: "Pod", apiVersion: "v1", body: template },
    { kind: "ReplicationController", apiVersion: "v1", body: { spec: { template } } },
    ...["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"].map((kind) => ({
      kind,
      apiVersion: "apps/v1",
      body: { spec: { template } },
    })),
    { kind: "Job", apiVersion: "batch/v1", body: { spec: { template } } },
    { kind: "CronJob", apiVersion: "batch/v1", body: { spec: { jobTemplate: { spec: { template } } } } },
  ])("$kind gets a sidecar, alone and in a List", ({ kind, apiVersion, body }) => {
    const object = { apiVersion, kind, ...body };
    expect(run(yaml(object)).output).toContain("name: signet-proxy");
    const list = run(yaml({ apiVersion: "v1", kind: "List", items: [object] })).output;
    expect(list).toContain("name: signet-proxy");
    expect(run(list).output).toBe(list);
  });

  test.each(["example.com/v1", "serving.knative.dev/v1"])(
    "an object of %s that only has its name is passed over",
    (apiVersion) => {
      for (const kind of ["Deployment", "Service", "Pod"]) {
        const stream = yaml({ apiVersion, kind, spec: 7 });
        expect(run(stream).output).toBe(stream);
      }
    },
  );
});

describe("the sidecar", () => {
  test("is a native one that comes first, or a container", () => {
    const first = podOf(both({}, { initContainers: [{ name: "setup", image: "x" }] })).spec.initContainers;
    expect(first?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
      ["signet-proxy", "Always"],
      ["setup", undefined],
    ]);
    const plain = podOf(both(), { sidecar: "container" }).spec;
    expect(plain.initContainers).toBeUndefined();
    expect(plain.containers.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
      ["signet-proxy", undefined],
      ["web", undefined],
    ]);
  });

  test("has its identity from a CSI volume, without a token", () => {
    const pod = podOf(both());
    expect(pod.spec.volumes).toEqual([{ name: "signet-socket", csi: { driver: "csi.signet.dev", readOnly: true } }]);
    expect(sidecarOf(pod)?.volumeMounts).toEqual([
      { name: "signet-socket", mountPath: "/var/run/secrets/workload-spiffe-uds", readOnly: true },
    ]);
    expect(bootstrapOf(pod).text).not.toContain("token");
  });

  test("has it from the node's socket and a token when asked", () => {
    const pod = podOf(both(), { identity: "token", audience: "else" });
    expect(pod.spec.volumes).toEqual([
      { name: "signet-socket", hostPath: { path: "/var/run/sds", type: "Directory" } },
      {
        name: "signet-token",
        projected: {
          sources: [{ serviceAccountToken: { path: "signet-token", audience: "else", expirationSeconds: 3600 } }],
        },
      },
    ]);
    expect(sidecarOf(pod)?.volumeMounts.every(({ readOnly }) => readOnly)).toBe(true);
  });
});

describe("inbound", () => {
  const ports = (stream: string) =>
    bootstrapOf(podOf(stream)).listeners.map(({ name, address }) => [name, address.socket_address.port_value]);
  const targets = (stream: string) =>
    objects<{ kind: string; spec: { ports: { targetPort: number }[] } }>(run(stream).output)
      .filter(({ kind }) => kind === "Service")
      .map(({ spec }) => spec.ports.map(({ targetPort }) => targetPort));

  test("each port of the application gets one of the sidecar, and Services lead there", () => {
    const stream = `${service([
      { port: 80, targetPort: "http", name: "http" },
      { port: 81, targetPort: 9000, name: "tcp-x" },
    ])}---\n${web}---\n${workload()}`;
    expect(ports(stream)).toEqual([
      ["inbound-8080", 15006],
      ["inbound-9000", 15007],
      ["readiness", 15021],
    ]);
    expect(targets(stream)).toEqual([[15006, 15007], [15006]]);
  });

  test("a port that the application has is left to it", () => {
    const containers = [{ name: "web", image: "web", ports: [{ containerPort: 15007 }] }];
    const stream = `${service([
      { port: 1, name: "tcp-1" },
      { port: 2, name: "tcp-2" },
    ])}---\n${workload({}, { containers })}`;
    expect(targets(stream)).toEqual([[15006, 15008]]);
  });

  test.each([
    { port: { name: "http" }, protocol: "http" },
    { port: { name: "http-admin" }, protocol: "http" },
    { port: { name: "grpc" }, protocol: "http2" },
    { port: { name: "x", appProtocol: "kubernetes.io/h2c" }, protocol: "http2" },
    { port: { name: "http", appProtocol: "mysql" }, protocol: "tcp" },
    { port: { name: "httpd" }, protocol: "tcp" },
    { port: {}, protocol: "tcp" },
  ])("$port is $protocol", ({ port, protocol }) => {
    const stream = `${service([{ port: 80, ...port }])}---\n${workload()}`;
    expect(run(stream).notes.join()).toContain(`127.0.0.1:80 (${protocol})`);
    expect(bootstrapOf(podOf(stream)).text.includes("forward_client_cert_details: SANITIZE_SET")).toBe(
      protocol !== "tcp",
    );
  });

  test("admits the trust domain, or only the clients that are named", () => {
    expect(bootstrapOf(podOf(both(), { trustDomain: "example.org" })).text).toContain(
      "prefix: spiffe://example.org/\n",
    );
    const { text } = bootstrapOf(podOf(both({ "signet.dev/clients": "foo/sleep, spiffe://other/x" })));
    expect(text).toContain("exact: spiffe://cluster.local/ns/foo/sa/sleep");
    expect(text).toContain("exact: spiffe://other/x");
    expect(text).not.toContain("prefix: spiffe:");
    const flags = { accountPath: "/eu/{namespace}/{serviceAccount}" };
    const { text: named } = bootstrapOf(podOf(both({ "signet.dev/clients": "foo/sleep" }), flags));
    expect(named).toContain("exact: spiffe://cluster.local/eu/foo/sleep");
  });

  test("a NetworkPolicy admits the sidecar's ports and what stays without it", () => {
    const stream = `${service([
      { port: 80, name: "http" },
      { port: 53, name: "dns", protocol: "UDP" },
    ])}---\n${workload()}`;
    const policy = objects<{ kind: string; spec: { podSelector: object; ingress: object[] } }>(run(stream).output).at(
      -1,
    );
    expect(policy?.spec).toEqual({
      podSelector: { matchLabels: { app: "web" } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          ports: [
            { port: 15006, protocol: "TCP" },
            { port: 15021, protocol: "TCP" },
            { port: 53, protocol: "UDP" },
          ],
        },
      ],
    });
    expect(run(stream, { networkPolicy: false }).output).not.toContain("NetworkPolicy");
  });
});

describe("outbound", () => {
  test("each host has an address of its own, and its names lead there", () => {
    const pod = podOf(both(upstreams("http://a.x:80=x/a, a.x:81=x/a, b:82=y/b, p-0.c.z.svc:83=z/c")), {
      namespace: "y",
    });
    expect(pod.spec.hostAliases).toEqual([
      { ip: "127.0.0.2", hostnames: ["a.x", "a.x.svc", "a.x.svc.cluster.local"] },
      { ip: "127.0.0.3", hostnames: ["b", "b.y", "b.y.svc", "b.y.svc.cluster.local"] },
      { ip: "127.0.0.4", hostnames: ["p-0.c.z", "p-0.c.z.svc", "p-0.c.z.svc.cluster.local"] },
    ]);
    const { text, listeners } = bootstrapOf(pod);
    expect(listeners.map(({ address: { socket_address: a } }) => `${a.address}:${a.port_value}`)).toEqual([
      ...["0.0.0.0:15006", "127.0.0.2:80", "127.0.0.2:81", "127.0.0.3:82", "127.0.0.4:83", "0.0.0.0:15021"],
    ]);
    expect(text).toContain("address: b.y.svc.cluster.local.\n");
    expect(text).toContain("exact: spiffe://cluster.local/ns/y/sa/b\n");
  });

  test("low ports are opened by a sysctl, and only then", () => {
    expect(podOf(both(upstreams("a.x:1024=x/a"))).spec.securityContext).toBeUndefined();
    expect(podOf(both(upstreams("a.x:1023=x/a"))).spec.securityContext).toEqual({
      sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
    });
  });

  test("the flag counts where there is no annotation", () => {
    const flags = { upstreams: "a.x:80=x/a" };
    expect(podOf(both(), flags).spec.hostAliases?.[0]?.hostnames).toContain("a.x");
    expect(podOf(both(upstreams("b.x:80=x/b")), flags).spec.hostAliases?.[0]?.hostnames).toContain("b.x");
  });
});

describe("what is left alone", () => {
  const plain = readFileSync(new URL("../../../infra/kubernetes/samples/httpbin.yaml", import.meta.url), "utf8");
  test("what was injected already, byte for byte", () => {
    const { output } = run(plain);
    expect(output).not.toBe(plain);
    expect(run(output)).toEqual({ output, notes: [expect.stringContaining("has its sidecar already")] });
  });

  test("a workload that opted out, and one that nobody calls and that calls nobody", () => {
    const stream = both({ "signet.dev/inject": "false" }, { hostNetwork: true });
    expect(run(stream).output).toBe(stream);
    expect(run(workload())).toEqual({
      output: workload(),
      notes: [expect.stringContaining("no Service of the input")],
    });
  });

  test("a Service of another namespace or with another selector", () => {
    const other = web.replace("name: web\n", "name: web\n  namespace: other\n");
    expect(run(`${other}---\n${workload()}`).output).toBe(`${other}---\n${workload()}`);
    expect(run(`${other}---\n${workload()}`, { namespace: "other" }).output).toContain("name: signet-proxy");
    const selector = service([{ port: 80 }], { selector: { app: "web", tier: "x" } });
    expect(run(`${selector}---\n${workload()}`).output).toBe(`${selector}---\n${workload()}`);
  });
});
