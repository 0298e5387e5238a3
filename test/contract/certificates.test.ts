import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AuditEvent, auditEvent } from "@signet/ca/audit/event";
import { type Certificate, certificate as certificateSchema } from "@signet/shared/ca-api";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { Oid } from "@signet/shared/oids";
import { decodeSinglePem } from "@signet/shared/pem";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CsrOptions, caFalse, makeCsr, makeKey, publicKeyDer } from "../support/csr.ts";
import { until } from "../support/poll.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { type Ask, ask, type Bench, platforms, sleepId, startBench } from "./platforms.ts";

describe.each(platforms)("certificates on %s", (platform) => {
  let bench: Bench;
  let folder: WorkFolder;
  beforeAll(async () => {
    folder = await makeWorkFolder("openssl");
    bench = await startBench(platform);
  });
  afterAll(async () => {
    await bench?.stop();
    await folder.remove();
  });

  async function issued(options: CsrOptions = {}, ttlSeconds?: number): Promise<Certificate> {
    const response = await ask(bench, { csr: makeCsr(options), ...(ttlSeconds !== undefined && { ttlSeconds }) });
    expect(response.status).toBe(201);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const body: unknown = await response.json();
    expect(Object.keys(body as object).sort()).toEqual([
      "certificateChain",
      "notAfter",
      "notBefore",
      "serialNumber",
      "spiffeId",
      "trustBundle",
    ]);
    return v.parse(certificateSchema, body);
  }

  const leafOf = (answer: Certificate) =>
    parseCertificate(decodeSinglePem(answer.certificateChain[0] ?? "", ["CERTIFICATE"]));

  test.each([
    { name: "no SAN", options: {} },
    { name: "exactly its SPIFFE ID", options: { uris: [sleepId] } },
    { name: "CA:FALSE said", options: { extensions: [caFalse] } },
    { name: "a P-384 key", options: { key: makeKey("p384") } },
  ])("issue for a CSR with $name", async ({ options }) => {
    const key = makeKey();
    const answer = await issued({ key, ...options });
    expect(answer.spiffeId).toBe(sleepId);
    expect(Buffer.from(leafOf(answer).publicKey)).toEqual(
      Buffer.from(publicKeyDer("key" in options ? options.key : key)),
    );
  });

  test("the leaf keeps the rules X1 to X6 of X509-SVID", async () => {
    const leaf = leafOf(await issued());
    // X1, X2: one URI SAN with a path, critical where the subject is empty; not a CA.
    expect(leaf.subjectAltName).toEqual({ critical: true, uris: [sleepId], dnsNames: [], others: 0 });
    expect(leaf.subject).toHaveLength(2);
    expect(leaf.basicConstraints).toEqual({ isCa: false, pathLength: undefined });
    // X3: key usage critical, digitalSignature and nothing else.
    expect(leaf.keyUsage).toEqual({ critical: true, bits: [true] });
    // X4: both extended key usages.
    expect(leaf.extendedKeyUsage).toEqual([Oid.serverAuth, Oid.clientAuth]);
    // X6 is what a validator does.
    expect(readSvid(leaf).toString()).toBe(sleepId);
  });

  test("the signing certificates keep rule X5", async () => {
    const { certificateChain, trustBundle } = await issued();
    const cas = [...certificateChain.slice(1), ...trustBundle.roots].map((pem) =>
      parseCertificate(decodeSinglePem(pem, ["CERTIFICATE"])),
    );
    expect(cas).toHaveLength(2);
    for (const ca of cas) {
      expect(ca.basicConstraints?.isCa).toBe(true);
      expect(ca.keyUsage?.bits[5]).toBe(true);
      // Their own SPIFFE ID, if any, has no path.
      expect(ca.subjectAltName?.uris).toEqual(["spiffe://cluster.local"]);
    }
  });

  test("SKI and AKI lead from leaf to root", async () => {
    const { certificateChain, trustBundle } = await issued();
    const [leaf, issuing, root] = [...certificateChain, ...trustBundle.roots].map((pem) =>
      parseCertificate(decodeSinglePem(pem, ["CERTIFICATE"])),
    );
    expect(leaf?.subjectKeyIdentifier).toMatch(/^[0-9a-f]{40}$/);
    expect(leaf?.authorityKeyIdentifier).toBe(issuing?.subjectKeyIdentifier);
    expect(issuing?.authorityKeyIdentifier).toBe(root?.subjectKeyIdentifier);
  });

  test("openssl verifies the chain for both purposes, strictly", async () => {
    const { certificateChain, trustBundle } = await issued();
    const file = (name: string, pems: readonly string[]) => {
      writeFileSync(join(folder.path, name), pems.join(""));
      return join(folder.path, name);
    };
    const root = file("root.pem", trustBundle.roots);
    const intermediates = file("chain.pem", certificateChain.slice(1));
    const leaf = file("leaf.pem", certificateChain.slice(0, 1));
    for (const purpose of ["sslserver", "sslclient"]) {
      const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, "-untrusted", intermediates, leaf];
      expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain("leaf.pem: OK");
    }
    // The check can fail: without the intermediate there is no path.
    expect(() => execFileSync("openssl", ["verify", "-CAfile", root, leaf], { stdio: "pipe" })).toThrow(
      /Command failed/,
    );
  });

  test("times and serial are said as they stand in the leaf", async () => {
    const before = Math.floor(Date.now() / 1000);
    const answer = await issued();
    const leaf = leafOf(answer);
    expect(Date.parse(answer.notBefore) / 1000).toBe(leaf.notBefore);
    expect(Date.parse(answer.notAfter) / 1000).toBe(leaf.notAfter);
    expect(answer.notAfter).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(leaf.notBefore).toBeLessThanOrEqual(before);
    expect(leaf.notAfter).toBeGreaterThanOrEqual(before + 3_600);
    expect(answer.serialNumber).toBe(leaf.serialNumber);
    expect(new X509Certificate(answer.certificateChain[0] ?? "").serialNumber.toLowerCase().replace(/^0+/, "")).toBe(
      answer.serialNumber,
    );
  });

  test.each([
    { asked: 60, given: 60 },
    { asked: 7_200, given: 7_200 },
    { asked: 86_400, given: 7_200 },
  ])("a life of $asked s becomes $given s", async ({ asked, given }) => {
    const before = Math.floor(Date.now() / 1000);
    const { notAfter } = leafOf(await issued({}, asked));
    const after = Math.ceil(Date.now() / 1000);
    expect(notAfter).toBeGreaterThanOrEqual(before + given);
    expect(notAfter).toBeLessThanOrEqual(after + given);
  });

  test("serials are random: 64 of them share no prefix", async () => {
    const serials = await Promise.all(Array.from({ length: 64 }, async () => (await issued()).serialNumber));
    expect(new Set(serials.map((serial) => serial.padStart(32, "0").slice(0, 8))).size).toBe(64);
    expect(serials.every((serial) => serial.length <= 32)).toBe(true);
  });

  test("the same request again gets the same certificate; with another token or life it is another request", async () => {
    const csr = makeCsr();
    const [token, other] = [await bench.issuer.token(bench.sleep), await bench.issuer.token(bench.sleep)];
    const serialOf = async (request: Ask) => {
      const response = await ask(bench, { csr, token, ...request });
      expect(response.status).toBe(201);
      return v.parse(certificateSchema, await response.json()).serialNumber;
    };
    const first = await serialOf({});
    // The agent's token may be another each time.
    expect(await serialOf({ nodeToken: await bench.issuer.token(bench.agent) })).toBe(first);
    const others = [
      await serialOf({ token: other }),
      await serialOf({ ttlSeconds: 60 }),
      await serialOf({ csr: makeCsr() }),
    ];
    expect(new Set([first, ...others]).size).toBe(4);
    await until("the log to tell", () => bench.tail().includes('"event":"repeated"'));
  });

  test("each is recorded before and after its signature, as lines of JSON that keep to the schema of events", async () => {
    const response = await ask(bench);
    const requestId = response.headers.get("x-request-id");
    const { serialNumber } = v.parse(certificateSchema, await response.json());
    const events = await until("both lines", () => {
      const lines = recordsOf(bench.tail()).filter((line) => line.requestId === requestId);
      return lines.length >= 2 && lines;
    });
    expect(events).toMatchObject([
      { event: "signing", serialNumber },
      { event: "signed", serialNumber },
    ]);
  });

  /** The audit events in a log, each of which fits its schema within what the platform's own lines have around. */
  function recordsOf(log: string): readonly AuditEvent[] {
    return log.split("\n").flatMap((line) => {
      const [text] = /\{.*\}$/.exec(line) ?? [];
      if (text === undefined || !/"event":"(?:signing|signed)"/.test(text)) return [];
      const { level, message, msg, time, timestamp, awsRequestId, ...event } = JSON.parse(text);
      expect({ level, text: message ?? msg }).toEqual({ level: "info", text: expect.any(String) });
      // The app itself, without a platform, tells no time.
      const now = platform === "in-process" ? new Date().toISOString() : undefined;
      return v.parse(auditEvent, { ...event, time: time ?? timestamp ?? now });
    });
  }

  test("the scheme of the authorization header is compared without case", async () => {
    const token = await bench.issuer.token(bench.sleep);
    expect((await ask(bench, { token: null, headers: { authorization: `bearer ${token}` } })).status).toBe(201);
  });
});
