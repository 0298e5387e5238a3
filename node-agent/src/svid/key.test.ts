import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, verify } from "node:crypto";
import { expect, test } from "vitest";
import { generateKey } from "./key.ts";

test("the private key is written as OpenSSL writes it", () => {
  const key = generateKey();
  const pem = Buffer.from(key.writePrivateKey());
  const read = createPrivateKey(pem);
  expect(read.export({ type: "pkcs8", format: "pem" })).toBe(pem.toString("latin1"));
  expect(createPublicKey(read).export({ type: "spki", format: "der" })).toEqual(key.publicKey);
  const text = Buffer.from("text");
  expect(verify("sha256", text, read, key.sign(text))).toBe(true);
});

test("the public key is written as OpenSSL writes it, whatever its numbers begin with", () => {
  for (let n = 0; n < 600; n++) {
    const key = generateKey();
    const read = createPublicKey(createPrivateKey(Buffer.from(key.writePrivateKey())));
    expect(read.export({ type: "spki", format: "der" }).equals(key.publicKey)).toBe(true);
  }
});

test("each writing has bytes of its own", () => {
  const key = generateKey();
  const first = key.writePrivateKey();
  const second = key.writePrivateKey();
  expect(second).toEqual(first);
  first.fill(0);
  expect(second).not.toEqual(first);
});

// What a core dump or a heap snapshot would give away: strings stay until they are collected, and cannot be zeroed.
const look = `
  import { getHeapSnapshot } from "node:v8";
  import { EncodedSecret } from "${new URL("../sds/secret.ts", import.meta.url)}";
  import { generateKey } from "${new URL("key.ts", import.meta.url)}";
  const pem = generateKey().writePrivateKey();
  const line = Buffer.from(pem.subarray(28 + 30, 28 + 60));
  const secret = EncodedSecret.ofCertificate("1", "chain", pem);
  const encoded = secret.in("trusted-ca").encode("default");
  if (!Buffer.from(encoded).includes(line)) throw new Error("the key is not in the secret");
  if (process.argv.includes("as-string")) globalThis.text = Buffer.from(pem).toString("latin1").slice(1);
  const chunks = [];
  for await (const chunk of getHeapSnapshot()) chunks.push(chunk);
  console.log(Buffer.concat(chunks).includes(line) ? "found" : "none");
`;
const search = (...args: string[]) =>
  execFileSync(process.execPath, ["--input-type=module", "--eval", look, ...args], { encoding: "utf8" }).trim();

test("no string of the heap ever holds it", () => {
  expect(search("as-string")).toBe("found");
  expect(search()).toBe("none");
});
