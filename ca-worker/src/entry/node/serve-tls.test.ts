import { once } from "node:events";
import { copyFile, readFile } from "node:fs/promises";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTls } from "node:tls";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { until } from "../../../../test/support/poll.ts";
import { makeServerCertificate, type ServerCertificateFiles } from "../../../../test/support/server-certificate.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { initAuthority } from "../../authority/make/init.ts";
import { parseConfig } from "../../config.ts";
import { type Running, serve } from "./serve.ts";

const { issuer, jwks } = await TokenIssuer.create();

describe("the CA behind files of a certificate", () => {
  let folder: WorkFolder;
  let tls: ServerCertificateFiles;
  let running: Running;
  let client: ClientHttp2Session;
  beforeEach(async () => {
    // Before the server starts: its timers, and no others, are those of the test.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    folder = await makeWorkFolder("serve-tls");
    tls = makeServerCertificate(folder.path, "first");
    await initAuthority(TrustDomain.parse("cluster.local"), `${folder.path}/authority.json`, undefined);
    const issuers = [{ issuer, audiences: ["signet-ca"], keys: jwks }];
    const text = JSON.stringify({ trustDomain: "cluster.local", authority: { store: "file:authority.json" }, issuers });
    running = await serve({
      ...{ config: parseConfig(text, "ca.jsonc"), source: "ca.jsonc", folder: folder.path, logger: makeLogger() },
      ...{ host: "127.0.0.1", port: 0, tls },
    });
    client = connect(running.url, { ca: await readFile(tls.certificate) });
    client.on("error", () => {});
    await once(client, "connect");
  });
  afterEach(async () => {
    vi.useRealTimers();
    client.destroy();
    await running.stop();
    await folder.remove();
  });

  const statusOf = async (path: string): Promise<unknown> => {
    const stream = client.request({ ":path": path });
    const [headers] = await once(stream, "response");
    stream.resume();
    return headers[":status"];
  };
  const shown = async (): Promise<string | undefined> => {
    const { hostname, port } = new URL(running.url);
    const socket = connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  };

  test("shows another one some seconds after its files were replaced, and keeps connections", async () => {
    expect(await shown()).toBe("first");
    const second = makeServerCertificate(folder.path, "second");
    await copyFile(second.certificate, tls.certificate);
    await copyFile(second.key, tls.key);
    await vi.advanceTimersByTimeAsync(5_000);
    await until("the new certificate", async () => (await shown()) === "second");
    expect(await statusOf("/readyz")).toBe(200);
    const stream = client.request({ ":path": "/metrics" }).setEncoding("utf8");
    const metrics = (await stream.toArray()).join("");
    expect(metrics).toMatch(/^signet_ca_tls_certificate_changes_total\{result="taken"\} 1$/m);
    expect(metrics).toMatch(/^signet_ca_tls_certificate_not_after_timestamp_seconds \d{10}$/m);
  });

  test("is not ready while it drains, over HTTP/2 too, and tells its clients to go in the end", async () => {
    vi.useRealTimers();
    const goAway = once(client, "goaway");
    const stopped = running.stop({ drainSeconds: 0.2 });
    expect(await statusOf("/readyz")).toBe(503);
    expect(await statusOf("/v1/trust-bundle")).toBe(200);
    await goAway;
    await stopped;
  });
});
