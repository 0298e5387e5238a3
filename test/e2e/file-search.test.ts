import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePem } from "@signet/shared/pem";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClientIdentity, makeForeignIdentity } from "../support/certificates.ts";
import { type Needle, searchFiles } from "../support/file-search.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// The demo says that no file has key material; that is worth what its search is worth.
let work: WorkFolder;
let folder: string;
let identity: ClientIdentity;
let needle: Needle;
let leaf: Buffer;

beforeAll(async () => {
  work = await makeWorkFolder("find");
  identity = await makeForeignIdentity("spiffe://cluster.local/ns/foo/sa/sleep");
  leaf = Buffer.from(decodePem(identity.cert)[0]?.der ?? []);
  needle = { name: "the leaf", bytes: leaf };
});
afterAll(() => work.remove());
beforeEach(async () => {
  folder = join(work.path, "a");
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "b/c"), { recursive: true });
  await writeFile(join(folder, "token"), "eyJhbGciOiJSUzI1NiJ9.e30.AAAA");
});

const find = () => searchFiles([folder], [], [needle]);
const plant = (content: string | Buffer) => writeFile(join(folder, "b/c/planted"), content);

it("finds nothing where nothing is, and counts what it read", () => {
  expect(find()).toEqual({ files: 1, bytes: 29, missing: [], found: [] });
  expect(searchFiles([folder, join(folder, "not-there")], [], [needle]).missing).toEqual([join(folder, "not-there")]);
});

describe("finds a certificate", () => {
  const forms: Record<string, () => string | Buffer> = {
    "in DER inside other bytes": () => Buffer.concat([Buffer.from("x"), leaf, Buffer.from("y")]),
    "in PEM": () => identity.cert,
    "in PEM inside JSON": () => JSON.stringify({ chain: [identity.cert] }),
    "in PEM inside JSON inside JSON": () => JSON.stringify(JSON.stringify({ chain: [identity.cert] })),
    "in base64 in one line": () => `certificate: ${leaf.toString("base64")}`,
    "in base64url": () => leaf.toString("base64url"),
    "in hex": () => leaf.toString("hex").toUpperCase(),
    "as Envoy's inline_bytes: PEM in base64": () => Buffer.from(identity.cert).toString("base64"),
  };
  it.each(Object.keys(forms))("%s", async (form) => {
    await plant(forms[form]?.() ?? "");
    expect(find().found).toEqual([`${join(folder, "b/c/planted")}: the leaf`]);
  });
});

describe("finds a private key", () => {
  const der = () => Buffer.from(decodePem(identity.key)[0]?.der ?? []);
  const forms: Record<string, () => string | Buffer> = {
    "in PEM": () => identity.key,
    "in DER": der,
    "in base64": () => der().toString("base64"),
    "in hex": () => der().toString("hex"),
    "of any sort in PEM": () => "-----BEGIN RSA PRIVATE KEY-----\n",
  };
  it.each(Object.keys(forms))("%s", async (form) => {
    await plant(forms[form]?.() ?? "");
    expect(find().found).toEqual([`${join(folder, "b/c/planted")}: a private key`]);
  });
});

it("finds what a process holds open outside of the folders, deleted or not", async () => {
  const outside = join(work.path, "outside");
  await writeFile(outside, identity.key);
  const handle = await open(outside);
  try {
    expect(searchFiles([folder], [process.pid], []).found).toEqual([`${outside}: a private key`]);
    await rm(outside);
    expect(searchFiles([folder], [process.pid], []).found).toEqual([
      expect.stringMatching(/^\/proc\/\d+\/fd\/\d+: a private key$/),
    ]);
  } finally {
    await handle.close();
  }
});
