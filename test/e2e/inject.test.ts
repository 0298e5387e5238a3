import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { inject } from "@signet/node-agent/inject/inject";
import { parseInjectOptions } from "@signet/node-agent/inject/options";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { envoyBinary } from "../support/envoy-binary.ts";
import { EnvoyProcess } from "../support/envoy-process.ts";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { runToEnd } from "../support/processes.ts";
import { agentProgram, ensureBuilt, plainEnvironment, repoRoot } from "../support/repo.ts";
import { makePod } from "../support/token-issuer.ts";
import { World } from "./world.ts";

const samples = join(repoRoot, "infra/kubernetes/samples");

interface Address {
  address: string;
  port_value: number;
}
interface Cluster {
  name: string;
  load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: Address } } }] }] };
}
interface Bootstrap {
  node?: object;
  admin: { address: { socket_address: Address } };
  static_resources: { listeners: { name: string; address: { socket_address: Address } }[]; clusters: Cluster[] };
}
interface Workload {
  kind: string;
  spec: { template: { spec: { initContainers: { name: string; args: string[] }[] } } };
}

let world: World;
const envoys: EnvoyProcess[] = [];
const servers: Server[] = [];
/** Where the server's sidecar listens, by the application's port. */
const inboundPorts = new Map<number, number>();
let readiness: number;
const apps = { http: 0, echo: 0 };

beforeAll(async () => {
  world = await World.create();
  apps.http = await listen(httpApplication());
  apps.echo = await listen(createServer((socket) => socket.on("error", () => socket.destroy()).pipe(socket)));
});
afterAll(async () => {
  await Promise.all(envoys.map((envoy) => envoy.stop()));
  for (const server of servers) server.close();
  await world?.close();
});

function httpApplication(): Server {
  const server = createHttpServer((request, response) => {
    response.end(JSON.stringify({ method: request.method, headers: request.headers }));
  });
  server.on("upgrade", (_request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.on("error", () => socket.destroy()).pipe(socket);
  });
  return server;
}

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const manifest = (name: string, annotations: object, ports: readonly { name: string; port: number }[]) =>
  [
    { apiVersion: "v1", kind: "Service", metadata: { name }, spec: { selector: { app: name }, ports } },
    {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name } },
      spec: {
        template: {
          metadata: { labels: { app: name }, annotations },
          spec: { serviceAccountName: name, containers: [{ name, image: name }] },
        },
      },
    },
  ]
    .map((object) => JSON.stringify(object))
    .join("\n---\n");

/** Injects, and runs the sidecar's own bootstrap here; ports, paths and the DNS name are changed for that. */
async function startSidecar(name: string, stream: string, connectionAge = "1h"): Promise<EnvoyProcess> {
  const { output } = inject(stream, parseInjectOptions({ identity: "token", namespace: "foo", connectionAge }));
  const workload = parseAllDocuments(output)
    .map((document) => document.toJS() as Workload)
    .find(({ kind }) => kind === "Deployment");
  const args = workload?.spec.template.spec.initContainers[0]?.args ?? [];
  const folder = join(world.folder, name);
  await mkdir(folder);
  const tokenFile = join(folder, "token");
  await world.issuer.writeToken(tokenFile, makePod("foo", name, world.node));
  const text = (args[args.indexOf("--config-yaml") + 1] ?? "")
    .replaceAll("/var/run/sds/uds_path", world.agent.socket)
    .replaceAll("/var/run/secrets/tokens/signet-token", tokenFile);
  const bootstrap = parse(text) as Bootstrap;
  const adminPort = await freePort();
  bootstrap.node = { id: name, cluster: name };
  bootstrap.admin.address.socket_address.port_value = adminPort;
  const { listeners, clusters } = bootstrap.static_resources;
  for (const { name: listener, address } of listeners) {
    const own = address.socket_address;
    if (listener.startsWith("outbound")) continue;
    expect(own.address).toBe("0.0.0.0");
    own.address = "127.0.0.1";
    own.port_value = await freePort();
    if (listener === "readiness") readiness = own.port_value;
    else inboundPorts.set(Number(listener.replace("inbound-", "")), own.port_value);
  }
  for (const { name: cluster, load_assignment } of clusters) {
    const address = load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
    if (cluster === "admin") address.port_value = adminPort;
    if (!cluster.startsWith("outbound")) continue;
    expect(address.address).toMatch(/\.svc\.cluster\.local\.$/);
    address.address = "127.0.0.1";
    address.port_value = inboundPorts.get(cluster.endsWith(`-${ports.echo}`) ? apps.echo : apps.http) ?? 0;
  }
  const envoy = new EnvoyProcess({ binary: await envoyBinary(), name, folder, adminPort, bootstrap });
  envoys.push(envoy);
  await envoy.start();
  await envoy.untilReady();
  return envoy;
}

/** Ports that the client's application calls, all on 127.0.0.2 or the next address. */
const ports = { http: 0, echo: 0, other: 0, stranger: 0 };
let server: EnvoyProcess;

it("two sidecars carry HTTP, WebSockets and plain TCP, for the right client to the right server", async () => {
  for (const key of ["http", "echo", "other", "stranger"] as const) ports[key] = await freePort();
  const offered = [
    { name: "http", port: apps.http },
    { name: "tcp-echo", port: apps.echo },
  ];
  server = await startSidecar("web", manifest("web", { "signet.dev/clients": "foo/client, foo/ageing" }, offered));
  const upstreams = `http://web.foo:${ports.http}=foo/web, web.foo:${ports.echo}=foo/web, http://other.foo:${ports.other}=foo/other`;
  await startSidecar("client", manifest("client", { "signet.dev/upstreams": upstreams }, []));
  const strangers = `http://web.foo:${ports.stranger}=foo/web`;
  await startSidecar("stranger", manifest("stranger", { "signet.dev/upstreams": strangers }, []));

  const { status, text } = await ask("GET", "127.0.0.2", ports.http);
  expect(status).toBe(200);
  const { headers } = JSON.parse(text) as { headers: Record<string, string> };
  expect(headers["x-forwarded-client-cert"]).toContain("URI=spiffe://cluster.local/ns/foo/sa/client");
  expect(headers).not.toHaveProperty("x-request-id");
  expect(await echo("127.0.0.2", ports.echo, "hello")).toBe("hello");
  expect(await upgrade("127.0.0.2", ports.http, "hello")).toBe("hello");

  // Whom the server does not admit, and a server who is not whom the client asked for: the same place both times.
  expect((await ask("GET", "127.0.0.2", ports.stranger)).status).toBe(503);
  expect((await ask("GET", "127.0.0.3", ports.other)).status).toBe(503);
});

it("shows readiness to the kubelet, and nothing else of the sidecar", async () => {
  expect(await ask("GET", "127.0.0.1", readiness, "/healthz/ready")).toMatchObject({ status: 200, text: "LIVE\n" });
  expect((await ask("POST", "127.0.0.1", readiness, "/healthz/ready")).status).toBe(404);
  expect((await ask("GET", "127.0.0.1", readiness, "/config_dump")).status).toBe(404);
});

it("no request fails while the server's sidecar starts again", async () => {
  const statuses: number[] = [];
  let over = false;
  const load = (async () => {
    while (!over)
      for (const method of ["GET", "POST"]) statuses.push((await ask(method, "127.0.0.2", ports.http)).status);
  })();
  const before = statuses.length;
  await server.stop();
  await server.start();
  await server.untilReady();
  over = true;
  await load;
  expect(statuses.length).toBeGreaterThan(before);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
});

it("a connection takes no further request after its age, and the request after that goes over a new one", async () => {
  const port = await freePort();
  const upstreams = { "signet.dev/upstreams": `http://web.foo:${port}=foo/web` };
  const { admin } = await startSidecar("ageing", manifest("ageing", upstreams, []), "1s");
  const stat = (name: string) => admin.stat(`cluster.outbound-web.foo-${port}.${name}`);
  expect((await ask("GET", "127.0.0.2", port)).status).toBe(200);
  await until("the connection's end", async () => (await stat("upstream_cx_max_duration_reached")) > 0);
  await until("no connection", async () => (await stat("upstream_cx_active")) === 0);
  const handshakes = await stat("ssl.handshake");
  expect((await ask("GET", "127.0.0.2", port)).status).toBe(200);
  expect(await stat("ssl.handshake")).toBeGreaterThan(handshakes);
});

it.each(["csi", "token"])("the samples in samples/%s are what inject makes of the plain ones", async (identity) => {
  for (const name of ["httpbin", "sleep"]) {
    const plain = readFileSync(join(samples, `${name}.yaml`), "utf8");
    const { output } = inject(plain, parseInjectOptions({ identity }));
    expect(output, `run signet-agent inject -f ${name}.yaml --identity ${identity}`).toBe(
      readFileSync(join(samples, identity, `${name}.yaml`), "utf8"),
    );
  }
});

it("the command reads standard input, writes standard output, and writes nothing when something is wrong", async () => {
  await ensureBuilt();
  const run = (args: readonly string[], input = "") =>
    runToEnd(process.execPath, [agentProgram, "inject", ...args], { input, env: plainEnvironment() });
  const plain = readFileSync(join(samples, "httpbin.yaml"), "utf8");
  const { stdout, stderr } = await run(["-f", "-"], plain);
  expect(stdout).toBe(readFileSync(join(samples, "csi/httpbin.yaml"), "utf8"));
  expect(stderr).toContain("Deployment/httpbin: port 15006 admits");
  expect((await run(["-f", "-"])).stdout).toBe("");
  for (const [args, input, says] of [
    [["-f", "-", "--identity", "x"], plain, "--identity"],
    [["-f", "-"], "a: [", "document 1"],
    [["-f", "/does/not/exist"], "", "--file"],
    [["-f", "-", "--nope"], plain, "--nope"],
    [[], "", "--file"],
  ] as const) {
    await expect(run(args, input)).rejects.toThrow(`ended with 2: `);
    await expect(run(args, input)).rejects.toThrow(says);
  }
});

function ask(method: string, host: string, port: number, path = "/"): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ method, host, port, path, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject).on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on("error", reject).end();
  });
}

function echo(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(text));
    socket.on("error", reject).on("close", () => reject(new Error("the connection was closed")));
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
  });
}

function upgrade(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { connection: "upgrade", upgrade: "websocket" };
    const request = httpRequest({ host, port, headers, agent: false });
    request.on("error", reject).on("response", ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)));
    request.on("upgrade", (_response, socket) => {
      socket.once("data", (data: Buffer) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write(text);
    });
    request.end();
  });
}
