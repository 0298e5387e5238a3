import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { envoyBinary } from "../support/envoy-binary.ts";
import { EnvoyProcess } from "../support/envoy-process.ts";
import { type HttpBackend, startHttpBackend } from "../support/http-backend.ts";
import { freePort } from "../support/ports.ts";
import { repoRoot } from "../support/repo.ts";
import { makePod } from "../support/token-issuer.ts";
import { World } from "./world.ts";

let world: World;
let backend: HttpBackend;
const envoys: EnvoyProcess[] = [];

beforeAll(async () => {
  world = await World.create();
  backend = await startHttpBackend();
});
afterAll(async () => {
  await Promise.all(envoys.map((envoy) => envoy.stop()));
  await backend?.stop();
  await world?.close();
});

/** A sample as a user takes it, with other paths, ports and addresses in place of its own. */
async function startSample(name: string, serviceAccount: string, replacements: readonly [string, string | number][]) {
  const tokenFile = join(world.folder, `${name}.sample-token`);
  await world.issuer.writeToken(tokenFile, makePod("foo", serviceAccount, world.node));
  const adminPort = await freePort();
  let text = readFileSync(join(repoRoot, "infra/envoy", name), "utf8");
  for (const [own, other] of [
    ["/var/run/sds/uds_path", world.agent.socket],
    ["/var/run/secrets/tokens/signet-token", tokenFile],
    ["port_value: 15000", `port_value: ${adminPort}`],
    ...replacements,
  ] as const) {
    expect(text).toContain(own);
    text = text.replaceAll(own, String(other));
  }
  const bootstrap = parse(text);
  const envoy = new EnvoyProcess({ binary: await envoyBinary(), name, folder: world.folder, adminPort, bootstrap });
  envoys.push(envoy);
  await envoy.start();
  await envoy.untilReady();
  return envoy;
}

it("the sample bootstraps of infra/envoy make a request through mutual TLS", async () => {
  const [inbound, outbound] = [await freePort(), await freePort()];
  const httpbin = await startSample("httpbin.yaml", "httpbin", [
    ["0.0.0.0", "127.0.0.1"],
    ["port_value: 15006", `port_value: ${inbound}`],
    ["port_value: 8000", `port_value: ${backend.port}`],
  ]);
  await startSample("sleep.yaml", "sleep", [
    ["address: httpbin.foo", "address: 127.0.0.1"],
    ["port_value: 15006", `port_value: ${inbound}`],
    ["port_value: 15001", `port_value: ${outbound}`],
  ]);
  const response = await fetch(`http://127.0.0.1:${outbound}/headers`);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("spiffe://cluster.local/ns/foo/sa/sleep");
  expect((await httpbin.admin.certificate())?.spiffeId).toBe("spiffe://cluster.local/ns/foo/sa/httpbin");
});
