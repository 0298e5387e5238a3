import { describe, expect, test } from "vitest";
import type { InjectFlags } from "./flags.ts";
import { inject } from "./inject.ts";
import { parseInjectOptions } from "./options.ts";
import { both, podSpec, service, upstreams, workload, yaml } from "./test-manifests.ts";

type Flags = Omit<InjectFlags, "file">;
const run = (stream: string, flags: Flags = {}) => inject(stream, parseInjectOptions(flags));

describe("is refused", () => {
  const containers = (...more: object[]) => ({ containers: [...podSpec.containers, ...more] });
  test.each([
    { what: "a pod in the node's network", stream: both({}, { hostNetwork: true }), says: "hostNetwork" },
    { what: "a pod of Windows", stream: both({}, { os: { name: "windows" } }), says: "os.name" },
    {
      what: "a container of the sidecar's name",
      stream: both({}, containers({ name: "signet-proxy" })),
      says: "containers[1].name",
    },
    {
      what: "a volume of its name",
      stream: both({}, { volumes: [{ name: "signet-socket" }] }),
      says: "volumes[0].name",
    },
    {
      what: "a container on its port",
      stream: both({}, containers({ name: "x", ports: [{ containerPort: 15006 }] })),
      says: "container x: ports: 15006",
    },
    {
      what: "a Service on its port",
      stream: `${service([{ port: 80, targetPort: 15006 }])}---\n${workload()}`,
      says: "spec.ports[0]",
    },
    { what: "an upstream on its port", stream: both(upstreams("a.b:15021=b/a")), says: "upstream a.b:15021" },
    {
      what: "a targetPort that is nowhere",
      stream: `${service([{ port: 80, targetPort: "no" }])}---\n${workload()}`,
      says: 'named "no"',
    },
    {
      what: "a port of two protocols",
      stream: `${service([{ port: 80, targetPort: 8080, name: "grpc" }])}---\n${both()}`,
      says: "same port",
    },
    {
      what: "a host alias that is an upstream",
      stream: both(upstreams("a.b:80=b/a"), { hostAliases: [{ ip: "1.2.3.4", hostnames: ["a.b"] }] }),
      says: "hostAliases[0]",
    },
    {
      what: "a sysctl that keeps the port shut",
      stream: both(upstreams("a.b:80=b/a"), {
        securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "443" }] },
      }),
      says: "securityContext.sysctls",
    },
    {
      what: "a Service that leads past a sidecar too",
      stream: `${both()}---\n${workload({ "signet.dev/inject": "false" })}`,
      says: "is left alone",
    },
    {
      what: "a NetworkPolicy of the same name",
      stream: `${both()}---\n${yaml({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "signet-mtls-web" } })}`,
      says: "NetworkPolicy signet-mtls-web",
    },
    {
      what: "a Job whose sidecar never ends",
      stream: both({}, { restartPolicy: "Never" }),
      flags: { sidecar: "container" },
      says: "--sidecar container",
    },
    { what: "a pod without containers", stream: both({}, { containers: [] }), says: "spec.template.spec.containers" },
    { what: "a wish that is neither", stream: both({ "signet.dev/inject": "no" }), says: "signet.dev/inject" },
    {
      what: "an annotation that is no text",
      stream: both({ "signet.dev/inject": false }),
      says: "annotations.signet.dev/inject",
    },
    { what: "an unknown annotation", stream: both({ "signet.dev/client": "a/b" }), says: "signet.dev/client: unknown" },
    { what: "no clients", stream: both({ "signet.dev/clients": " " }), says: "signet.dev/clients" },
    { what: "half a client", stream: both({ "signet.dev/clients": "sleep" }), says: '"sleep"' },
    { what: "a client with a slash too many", stream: both({ "signet.dev/clients": "a/b/c" }), says: '"a/b/c"' },
    ...[
      "a.b",
      "a.b:80",
      "a.b:80=",
      "a.b:0=b/a",
      "a.b:70000=b/a",
      "ftp://a.b:1=b/a",
      "A.b:1=b/a",
      "x:1=b/a",
      "a.b:1=b/a!",
      "a.b.c.d:1=b/a",
      "a.b:1=b/a a.b.svc:1=b/a",
    ].map((list) => ({ what: `upstream ${list}`, stream: both(upstreams(list)), says: "signet.dev/upstreams" })),
  ] as { what: string; stream: string; flags?: Flags; says: string }[])("$what", ({ stream, flags, says }) => {
    const attempt = () => run(stream, flags);
    expect(attempt).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(attempt).toThrow(says);
    expect(attempt).toThrow("/web");
  });

  test.each([
    { flags: { identity: "x" }, says: "--identity" },
    { flags: { sidecar: "x" }, says: "--sidecar" },
    { flags: { proxyImage: "" }, says: "--proxy-image" },
    { flags: { trustDomain: "A" }, says: "--trust-domain" },
    { flags: { accountPath: "/{namespace}" }, says: "--account-path" },
    { flags: { clusterDomain: "." }, says: "--cluster-domain" },
    { flags: { namespace: "a.b" }, says: "--namespace" },
    { flags: { audience: "" }, says: "--audience" },
    { flags: { connectionAge: "soon" }, says: "--connection-age" },
    { flags: { connectionAge: "0s" }, says: "--connection-age" },
    { flags: { upstreams: "x" }, says: "--upstreams" },
  ] as { flags: Flags; says: string }[])("a bad $says", ({ flags, says }) => {
    expect(() => run(both(), flags)).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(() => run(both(), flags)).toThrow(says);
  });

  test("with every fault at once", () => {
    const stream = both({ "signet.dev/clients": "x", ...upstreams("y") }, { hostNetwork: true });
    const says = ["clients", "upstreams", "hostNetwork"].map((word) => `(?=[^]*${word})`).join("");
    expect(() => run(stream)).toThrow(new RegExp(says));
  });
});
