import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { Agent, createServer, get, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { decodePem } from "@signet/shared/pem";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { makeWorkFolder } from "../../../../test/support/work-folder.ts";
import type { AuthorityEntry } from "../../authority/document.ts";
import { makeAuthority } from "../../authority/make/authority.ts";
import { AuthoritySource } from "../../authority/source.ts";
import { nodeCrypto } from "./crypto.ts";
import { ServingCertificate } from "./serving-certificate.ts";

const trustDomain = TrustDomain.parse("cluster.local");
// So long ago that what is made after half of the life is valid now.
const start = Math.floor(Date.now() / 1000) - 50_000;
const dnsNames = ["signet-ca.signet-system.svc", "localhost"];

let [first, second] = [] as AuthorityEntry[];
beforeAll(async () => {
  const make = async () => (await makeAuthority({ trustDomain, now: start })).document.authorities[0];
  [first, second] = [await make(), await make()].map((entry, index) => ({
    ...(entry as AuthorityEntry),
    id: `a${index}`,
  }));
});
const rootOf = (entry: AuthorityEntry | undefined) => entry?.chain.at(-1) ?? "";
const inState = (entry: AuthorityEntry | undefined, state: string) => ({ ...entry, state });

async function bench(...authorities: unknown[]) {
  const state = { content: { version: 1, sequence: 1, authorities }, now: start };
  const logger = makeLogger();
  const clock = () => state.now;
  const source = new AuthoritySource({
    store: { read: () => JSON.stringify(state.content) },
    ...{ trustDomain, refreshHintSeconds: 300, crypto: nodeCrypto, clock, logger: makeLogger() },
  });
  const change = (...changed: unknown[]) => {
    state.content = { version: 1, sequence: state.content.sequence + 1, authorities: changed };
    state.now += 30;
  };
  return {
    state,
    change,
    logger,
    serving: await ServingCertificate.make({ dnsNames, authorities: source, clock, logger }),
  };
}

describe("the server's own certificate", () => {
  test("is a server's alone: DNS names, no SPIFFE ID, a day long, chain without the root", async () => {
    const { serving } = await bench(first);
    const [leaf, issuing, ...more] = decodePem(serving.context.cert).map(({ der }) => new X509Certificate(der));
    expect(more).toEqual([]);
    expect(issuing?.toString()).toBe(new X509Certificate(first?.chain[0] ?? "").toString());
    expect(leaf).toMatchObject({
      ca: false,
      keyUsage: ["1.3.6.1.5.5.7.3.1"],
      subjectAltName: "DNS:signet-ca.signet-system.svc, DNS:localhost",
    });
    const parsed = parseCertificate(leaf?.raw ?? new Uint8Array());
    expect(parsed.notAfter - start).toBe(86_400);
    expect(parsed.subjectAltName).toEqual({
      ...{ critical: true, uris: [], others: 0 },
      dnsNames: ["signet-ca.signet-system.svc", "localhost"],
    });
    expect(() => readSvid(parsed)).toThrow();
    expect(leaf?.verify((issuing as X509Certificate).publicKey)).toBe(true);
  });

  test("openssl verifies it for a server of that name, from the root alone, and for nothing else", async () => {
    const folder = await makeWorkFolder("serving");
    const file = (name: string) => join(folder.path, name);
    const { serving } = await bench(first);
    await writeFile(file("chain.pem"), serving.context.cert);
    await writeFile(file("root.pem"), rootOf(first));
    const verify = (...more: string[]) =>
      execFileSync(
        "openssl",
        [
          "verify",
          "-x509_strict",
          "-CAfile",
          file("root.pem"),
          "-untrusted",
          file("chain.pem"),
          ...more,
          file("chain.pem"),
        ],
        { encoding: "utf8", stdio: "pipe" },
      );
    expect(verify("-purpose", "sslserver", "-verify_hostname", "localhost")).toContain(": OK");
    expect(() => verify("-purpose", "sslclient")).toThrow();
    expect(() => verify("-purpose", "sslserver", "-verify_hostname", "example.com")).toThrow();
    await folder.remove();
  });

  test.each([
    { rule: "no authority is active", authorities: () => [inState(first, "retiring")] },
    { rule: "there is none", authorities: () => [] },
    { rule: "the document is broken", authorities: () => [{}] },
  ])("cannot be made while $rule", async ({ authorities }) => {
    await expect(bench(...authorities())).rejects.toMatchObject({
      code: "cannot-sign",
      message: expect.stringContaining("--tls-names"),
    });
  });
});

describe("a server under it", () => {
  let server: Server;
  let agent: Agent;
  beforeEach(() => {
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
  });
  afterEach(async () => {
    agent.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  async function listen(serving: ServingCertificate): Promise<number> {
    server = createServer(serving.context, (_, response) => response.end("ok"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }
  /** The serial that a new client sees, which trusts `root` alone. */
  const serialSeen = (port: number, root: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca: root }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      }).once("error", reject);
    });
  /** A request on the one connection that is kept; gives that connection's local port. */
  const ask = (port: number, ca: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      get({ host: "127.0.0.1", port, servername: "localhost", ca, agent }, (response) => {
        const { localPort } = response.socket;
        response.resume().once("end", () => resolve(localPort));
      }).once("error", reject);
    });

  test("is trusted by the root alone, and by no other", async () => {
    const { serving } = await bench(first);
    const port = await listen(serving);
    expect(await serialSeen(port, rootOf(first))).toMatch(/^[0-9A-F]+$/);
    await expect(serialSeen(port, rootOf(second))).rejects.toThrow();
  });

  test("keeps it for half of its life, then takes a new one without dropping a connection", async () => {
    const { serving, state, logger } = await bench(first);
    const port = await listen(serving);
    const connection = await ask(port, rootOf(first));
    const before = await serialSeen(port, rootOf(first));
    state.now += 43_199;
    await serving.renew(server);
    expect(await serialSeen(port, rootOf(first))).toBe(before);
    state.now += 1;
    const { key } = serving.context;
    await serving.renew(server);
    expect(await serialSeen(port, rootOf(first))).not.toBe(before);
    expect(serving.context.key).not.toBe(key);
    expect(await ask(port, rootOf(first))).toBe(connection);
    expect(JSON.stringify(logger.lines)).not.toContain("PRIVATE KEY");
    expect(logger.lines).toMatchObject([{ level: "info", event: "serving-certificate" }]);
  });

  test("takes a new one when another authority signs", async () => {
    const { serving, change } = await bench(first, inState(second, "prepared"));
    const port = await listen(serving);
    change(inState(first, "retiring"), second);
    await serving.renew(server);
    await serialSeen(port, rootOf(second));
    await expect(serialSeen(port, rootOf(first))).rejects.toThrow();
  });

  test("keeps the old one while nothing can be signed, and tells it once", async () => {
    const { serving, change, logger } = await bench(first);
    const port = await listen(serving);
    const before = await serialSeen(port, rootOf(first));
    change(inState(first, "tainted"));
    for (let n = 0; n < 3; n++) await serving.renew(server);
    expect(await serialSeen(port, rootOf(first))).toBe(before);
    expect(logger.lines).toMatchObject([{ level: "error", code: "cannot-sign" }]);
    change(inState(first, "tainted"), second);
    await serving.renew(server);
    await serialSeen(port, rootOf(second));
  });
});
